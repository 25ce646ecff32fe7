"""A tiny catalogue in float64 and the papers' equations in dense loops.

Nothing of the package computes here: an edge list comes in as data, all else is spelt
out once more.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import HeteroData

from mmgraph.models import Batch

NUM_USERS, NUM_ITEMS = 9, 14


class Dense:
    """Slow spellings of what the models share."""

    @staticmethod
    def user_item(edge_index, num_users, num_items):
        """``D^-1/2 A D^-1/2`` of the stacked graph; isolated nodes get zero rows."""
        pairs = edge_index.T.tolist()
        degree_u = [sum(u == v for v, _ in pairs) for u in range(num_users)]
        degree_i = [sum(i == j for _, j in pairs) for i in range(num_items)]
        matrix = torch.zeros(num_users + num_items, num_users + num_items)
        for u, i in pairs:
            weight = 1 / (degree_u[u] * degree_i[i]) ** 0.5
            matrix[u, num_users + i] = matrix[num_users + i, u] = weight
        return matrix

    @staticmethod
    def item_graph(data, relation="similar"):
        """An item graph, by default the fused one: row = centre, column = neighbour."""
        graph = data["item", relation, "item"]
        size = data["item"].num_nodes
        matrix = torch.zeros(size, size)
        edges = zip(graph.edge_index.T.tolist(), graph.edge_weight, strict=True)
        for (neighbour, centre), weight in edges:
            matrix[centre, neighbour] += weight
        return matrix

    @staticmethod
    def with_loops(edge_index, num_users, num_items):
        """``(D + I)^-1 (A + I)`` of the stacked graph."""
        matrix = torch.eye(num_users + num_items)
        for u, i in edge_index.T.tolist():
            matrix[u, num_users + i] = matrix[num_users + i, u] = 1.0
        return matrix / matrix.sum(dim=1, keepdim=True)

    @staticmethod
    def nearest_cosines(x, k):
        """All cosines, but for the ``k`` largest of each row put to zero."""
        unit = Dense.unit_rows(x)
        cosine = unit @ unit.T
        keep = torch.zeros_like(cosine)
        for i, row in enumerate(cosine.tolist()):
            keep[i, sorted(range(len(row)), key=lambda j, r=row: -r[j])[:k]] = 1.0
        return keep * cosine

    @staticmethod
    def by_row_sums(matrix):
        """``w_ij / sqrt(s_i s_j)`` with the row sums ``s``, all of them positive."""
        root = matrix.sum(dim=1).sqrt()
        return matrix / root[:, None] / root

    @staticmethod
    def attention(fuse, views):
        """Sum of the views, node by node weighted by a softmax over them."""
        rows = []
        for node in zip(*views, strict=True):
            hidden = [torch.tanh(Dense.linear(fuse.first, h)) for h in node]
            e = [torch.exp(fuse.second.weight[0] @ h) for h in hidden]
            rows.append(sum(p / sum(e) * h for p, h in zip(e, node, strict=True)))
        return torch.stack(rows)

    @staticmethod
    def layers(matrix, x, num_layers):
        """``x, A x, A A x, ...``."""
        out = [x]
        for _ in range(num_layers):
            out.append(matrix @ out[-1])
        return out

    @staticmethod
    def bpr(z_user, z_item, batch):
        """Mean over the triples of ``-ln sigma(y_ui - y_uj)``."""
        total = 0.0
        for u, i, j in zip(*(part.tolist() for part in batch), strict=True):
            margin = (z_user[u] * z_item[i]).sum() - (z_user[u] * z_item[j]).sum()
            total = total - torch.log(1 / (1 + torch.exp(-margin)))
        return total / batch.user.numel()

    @staticmethod
    def linear(layer, x):
        out = x @ layer.weight.T
        return out if layer.bias is None else out + layer.bias

    @staticmethod
    def leaky(x):
        return torch.where(x > 0, x, 0.01 * x)

    @staticmethod
    def unit_rows(x):
        return x / x.square().sum(dim=1, keepdim=True).sqrt()


@pytest.fixture
def dense():
    return Dense


@pytest.fixture
def float64():
    """Everything made in the test is float64, graph weights too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def catalogue(float64):
    """Makes a catalogue; the last user and the last item have no training edge."""

    def make(widths=None, num_items=NUM_ITEMS):
        data = HeteroData()
        data["user"].num_nodes, data["item"].num_nodes = NUM_USERS, num_items
        for name, width in (widths or {"visual": 6, "textual": 4}).items():
            data["item"][f"x_{name}"] = torch.randn(num_items, width)
        chosen = torch.randperm((NUM_USERS - 1) * (num_items - 1))[:40].sort().values
        user = torch.div(chosen, num_items - 1, rounding_mode="floor")
        edge_index = torch.stack([user, chosen % (num_items - 1)])
        data["user", "interacts", "item"].edge_index = edge_index
        data["item", "rev_interacts", "user"].edge_index = edge_index.flip(0)
        data["user", "interacts", "item"].edge_label_index = edge_index
        return data

    return make


@pytest.fixture
def batch():
    """Triples in which users and items come back."""
    edges = torch.randint(8, (11,)), torch.randint(13, (11,)), torch.randint(14, (11,))
    return Batch(*edges)


@pytest.fixture
def randomise():
    """Move a model away from its start, where biases and their products vanish."""

    def draw(model, scale=0.5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(scale * torch.randn_like(parameter))
        return model

    return draw


@pytest.fixture
def first_epoch():
    """Prepared data; the model is in training mode and its first epoch has begun."""

    def start(model, data, epoch=1, seed=0):
        data = model.add_graphs(data)
        model.train()
        model.start_epoch(data, epoch, torch.Generator().manual_seed(seed))
        return data

    return start


@pytest.fixture
def agree():
    """Two sets of loss terms have equal names, values and gradients."""

    def gradients(term, parameters):
        return torch.autograd.grad(
            term,
            parameters,
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )

    def check(model, terms, expected, rel=1e-8):
        assert terms.keys() == expected.keys()
        parameters = model.main_parameters()
        for name, term in terms.items():
            close = {"rtol": rel, "atol": 1e-12, "msg": lambda m, name=name: name + m}
            torch.testing.assert_close(term, expected[name], **close)
            got = gradients(term, parameters)
            assert any(g.any() for g in got), f"{name} has no gradient at all"
            for mine, other in zip(
                got, gradients(expected[name], parameters), strict=True
            ):
                torch.testing.assert_close(mine, other, **close)

    return check


@pytest.fixture
def gaussian_conditional():
    """Mean and log-variance of CLUB's estimator, from its parameters."""

    def apply(club, x):
        parts = []
        for net in (club.conditional.mean, club.conditional.log_var):
            hidden = F.relu(Dense.linear(net[0], x))
            parts.append(Dense.linear(net[2], hidden))
        return parts[0], torch.tanh(parts[1])

    return apply
