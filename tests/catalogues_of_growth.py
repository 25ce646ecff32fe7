"""A small catalogue, and the one that it has grown to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.data import from_interactions
from mmgraph.schema import INTERACTS

NUM_USERS, NUM_ITEMS, DIMS = 24, 30, {"visual": 6, "textual": 5}


class Grown(NamedTuple):
    """Two training splits; ids of newcomers stand before those of the others."""

    old: HeteroData
    new: HeteroData


def _build(pairs, users, items, features):
    user, item = zip(*sorted(pairs), strict=True)
    return from_interactions(
        user,
        item,
        users=users,
        items=items,
        features={m: np.stack([x[i] for i in items]) for m, x in features.items()},
    )


def grown(*, users: int = 3, items: int = 3, cold: int = 2, seed: int = 0) -> Grown:
    """A catalogue, and the same with new users, new items and new cold items.

    Users ``"a.."`` and items ``"a.."`` (with interactions) and ``"b.."`` (without) are
    new; the pairs of the others are the same in both.
    """
    rng = np.random.default_rng(seed)
    known_users = [f"u{n:02}" for n in range(NUM_USERS)]
    known_items = [f"i{n:02}" for n in range(NUM_ITEMS)]
    new_users = [f"a{n:02}" for n in range(users)]
    new_items = [f"a{n:02}" for n in range(items)]
    cold_items = [f"b{n:02}" for n in range(cold)]
    features = {
        m: {
            i: rng.standard_normal(dim).astype(np.float32)
            for i in known_items + new_items + cold_items
        }
        for m, dim in DIMS.items()
    }
    pairs = {
        (u, i) for u in known_users for i in rng.choice(known_items, 5, replace=False)
    }
    pairs |= {(known_users[n % NUM_USERS], i) for n, i in enumerate(known_items)}
    old = _build(pairs, known_users, known_items, features)
    more = {
        (u, i) for u in new_users for i in rng.choice(known_items, 4, replace=False)
    }
    more |= {
        (u, i) for i in new_items for u in rng.choice(known_users, 4, replace=False)
    }
    new = _build(
        pairs | more,
        new_users + known_users,
        new_items + cold_items + known_items,
        features,
    )
    return Grown(old, new)


def dense_graph(data: HeteroData) -> torch.Tensor:
    """The normalised matrix of users and items, float64, by its definition."""
    user, item = data[INTERACTS].edge_index
    users, items = data["user"].num_nodes, data["item"].num_nodes
    a = torch.zeros(users + items, users + items, dtype=torch.float64)
    a[user, users + item] = a[users + item, user] = 1.0
    degree = a.sum(dim=1)
    scale = torch.where(degree > 0, degree.rsqrt(), 0.0)
    return scale[:, None] * a * scale
