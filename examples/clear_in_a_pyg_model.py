"""CLEAR in a PyG model of your own: its projection between encoders and layers."""

from torch import nn, optim
from torch_geometric.nn import SAGEConv

from mmgraph import load_dataset
from mmgraph.functional import cross_covariance
from mmgraph.nn import NullSpaceProjection

train, _, _ = load_dataset("synthetic")
item, user = to_users = train["item", "rev_interacts", "user"].edge_index


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual, self.textual = nn.Linear(64, 32), nn.Linear(48, 32)
        self.project = NullSpaceProjection(rank=4, strength=0.9)
        self.user = nn.Embedding(train["user"].num_nodes, 32)
        self.conv = SAGEConv((32, 32), 32)

    def encode(self, x):
        return {"visual": self.visual(x.x_visual), "textual": self.textual(x.x_textual)}

    def forward(self, z):
        z_item = sum(self.project(z).values())
        return self.conv((z_item, self.user.weight), to_users) @ z_item.T


model = Network()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(1, 11):
    z = model.encode(train["item"])
    model.project.refresh(z, epoch)  # once per epoch, without gradients
    loss = -model(z).log_softmax(dim=1)[user, item].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
shared = [cross_covariance(*x.values()).norm() for x in (z, model.project(z))]
print(f"loss {loss:.3f}, shared {shared[0]:.3f} without, {shared[1]:.3f} with CLEAR")
