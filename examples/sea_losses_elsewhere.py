"""SEA's losses in another project: any encoders, any training loop."""

import torch
from torch import nn

from mmgraph.nn import SeparateLearningLoss

torch.manual_seed(0)
shared = torch.randn(200, 8)  # what both modalities of an item tell ...
x = {m: torch.cat([shared, torch.randn(200, 16)], dim=1) for m in ("image", "text")}
labels = (shared[:, 0] > 0).float()
encoders = nn.ModuleDict({m: nn.Linear(24, 16) for m in x})
classifier = nn.Linear(32, 1)

# The first half of each embedding is generic, the second unique. The estimator inside
# has an optimiser of its own: its parameters stay out of yours.
dims = {"image": 16, "text": 16}
separate = SeparateLearningLoss(dims, align_weight=0.1, distance_weight=0.1)
estimator = set(separate.estimator_parameters())
modules = nn.ModuleList([encoders, classifier, separate])
optimizer = torch.optim.Adam(
    [p for p in modules.parameters() if p not in estimator], lr=1e-2
)

for epoch in range(1, 31):
    z = {m: encoder(x[m]) for m, encoder in encoders.items()}
    for _ in range(10 if epoch == 1 else 0):
        separate.club_step(z)  # the estimator's first look at the embeddings
    terms = separate(z, fit=True)  # already weighted; fits the estimator on the way
    logits = classifier(torch.cat(list(z.values()), dim=1)).squeeze(1)
    task = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    optimizer.zero_grad()
    (task + terms["align"] + terms["distance"]).backward()
    optimizer.step()
    if epoch in (1, 30):
        # What the halves share, in nats, by an estimator that is fitted from scratch.
        found = separate.refitted_bounds(separate.distance_inputs(z))
        shown = {m: round(v.item(), 4) for m, v in (terms | found).items()}
        print(f"epoch {epoch}: task {task.item():.4f} {shown}")
