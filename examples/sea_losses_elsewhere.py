"""SEA's losses in another project: any encoders, any training loop."""

import torch
from torch import nn

from mmgraph.nn import SeparateLearningLoss

torch.manual_seed(0)
shared = torch.randn(200, 8)  # what both modalities of an item tell ...
images = torch.cat([shared, torch.randn(200, 24)], dim=1)  # ... and what only one does
texts = torch.cat([shared, torch.randn(200, 12)], dim=1)
labels = (shared[:, 0] > 0).float()

image_encoder, text_encoder = nn.Linear(32, 16), nn.Linear(20, 16)
classifier = nn.Linear(32, 1)

# The first half of each embedding is generic, the second unique. The estimator inside
# has an optimiser of its own: its parameters stay out of yours.
separate = SeparateLearningLoss(
    {"image": 16, "text": 16}, align_weight=0.1, distance_weight=0.1, club_lr=1e-2
)
estimator = set(separate.estimator_parameters())
modules = nn.ModuleList([image_encoder, text_encoder, classifier, separate])
optimizer = torch.optim.Adam(
    [p for p in modules.parameters() if p not in estimator], lr=1e-2
)

for epoch in range(1, 31):
    z = {"image": image_encoder(images), "text": text_encoder(texts)}
    separate.club_step(z)  # fits the estimator
    terms = separate(z)  # already weighted
    logits = classifier(torch.cat(list(z.values()), dim=1)).squeeze(1)
    task = nn.functional.binary_cross_entropy_with_logits(logits, labels)
    loss = task + terms["align"] + terms["distance"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch in (1, 30):
        shown = {name: round(value.item(), 4) for name, value in terms.items()}
        print(f"epoch {epoch}: task {task.item():.4f} {shown}")
