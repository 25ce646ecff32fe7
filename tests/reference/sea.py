"""SEA's equations in loops, and models to compare with them.

``dense`` and ``gaussian_conditional`` are the fixtures of those names.
"""

from __future__ import annotations

import copy

import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 8}
INTERACTS = ("user", "interacts", "item")
ALPHA, BETA, T = 0.3, 0.2, 0.4


def make(data, fidelity="paper", **options):
    options = {
        "embedding_dim": 6,
        "hidden_dim": 7,
        "align_weight": ALPHA,
        "distance_weight": BETA,
        "temperature": T,
        "club_inner_steps": 0,
        "club_order": "fit-first",
        "club_standardize": False,
    } | options
    return build_model("SEA", data, fidelity=fidelity, **options)


def away_from_start(catalogue, randomise, widths=WIDTHS, fidelity="paper", **options):
    """A model away from its start, with an estimator that has seen these data."""
    data = catalogue(widths)
    model = randomise(make(data, fidelity, **options))
    data = model.add_graphs(data)
    model.train()
    fit_right_pairs(model, data)
    return model, data


def fit_right_pairs(model, data, steps=60):
    """So that the bound is above zero: below, it is cut off and has no gradient."""
    separate = model.separate
    if not separate.club:
        return
    z = model._encode_modalities(data)
    if model.split_at == "graph":
        z = model.fuse(data, model.hidden(z))[2]
    pairs = separate.distance_inputs(z)
    club = separate.club["shared"]
    optimizer = torch.optim.Adam(club.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(club.estimator_loss(x, y) for x, y in pairs.values()).backward()
        optimizer.step()
    model.zero_grad()


# The equations ------------------------------------------------------------------


def encoded(model, data, dense):
    return {
        m: dense.linear(encoder, data["item"][f"x_{m}"])
        for m, encoder in model.encoders.items()
    }


def embeddings(model, data, dense, z):
    """Users, items, and each modality's items (Eqs. 6-7, 12, 17)."""
    size = data["item"].num_nodes
    matrix = dense.user_item(data[INTERACTS].edge_index, 9, size)
    h = []
    for m, mlp in model.mlps.items():
        small = dense.linear(mlp.second, dense.leaky(dense.linear(mlp.first, z[m])))
        x = dense.unit_rows(torch.cat([model.gcn.propagate.preference[m], small]))
        h.append(sum(dense.layers(matrix, x, 2)))
    weight = model.gcn.fuse_users.weight
    z_user = torch.cat([weight[:, m] * x[:9] for m, x in enumerate(h)], dim=1)
    z_item = torch.cat([x[9:] for x in h], dim=1)
    items = {m: x[9:] for m, x in zip(model.mlps, h, strict=True)}
    return z_user, z_item + dense.item_graph(data) @ z_item, items


def halves(z):
    return {m: (x[:, : x.size(1) // 2], x[:, x.size(1) // 2 :]) for m, x in z.items()}


def standardised(x):
    mean, var = x.mean(0), x.var(0, unbiased=False)
    return (x - mean) / (var + 1e-5).sqrt()


def head_output(head, x, dense):
    norm_1, _, linear_2, norm_2, _, linear_3 = head.rest
    x = dense.linear(head.first, x)
    x = (standardised(x) * norm_1.weight + norm_1.bias).clamp(min=0)
    x = dense.linear(linear_2, x)
    x = (standardised(x) * norm_2.weight + norm_2.bias).clamp(min=0)
    return dense.unit_rows(dense.linear(linear_3, x))


def solosim_loop(anchor, candidate):
    total = 0.0
    for i in range(len(anchor)):
        likelihood = ((anchor[i] * candidate).sum(dim=1) / T).exp()
        total = total - (likelihood[i] / likelihood.sum()).log()
    return total / len(anchor)


def align_reference(model, z, dense, symmetric):
    """Mean over the pairs of modalities, the later one as anchor (Eq. 16)."""
    head = {
        m: head_output(model.separate.heads[m], generic, dense)
        for m, (generic, _) in halves(z).items()
    }
    names, losses = list(z), []
    for later in range(1, len(names)):
        for earlier in range(later):
            a, b = head[names[later]], head[names[earlier]]
            loss = solosim_loop(a, b)
            losses.append((loss + solosim_loop(b, a)) / 2 if symmetric else loss)
    return ALPHA * sum(losses) / len(losses)


def mapped(model, z, dense):
    """The two inputs of the estimator per modality."""
    separate, out = model.separate, {}
    for m, (generic, unique) in halves(z).items():
        if separate.maps_generic:
            generic = dense.linear(separate.maps_generic[m], generic)
            unique = dense.linear(separate.maps_unique[m], unique)
        out[m] = generic, unique
    return out


def log_q(mean, log_var, y):
    return -((mean - y) ** 2 / (2 * log_var.exp()) + log_var / 2).sum()


def frozen_conditional(model, gaussian_conditional, x):
    club = copy.deepcopy(model.separate.club["shared"]).requires_grad_(False)
    return gaussian_conditional(club, x)


def bound_over_all_pairs(mean, log_var, y):
    """Eq. 15 as it stands, with both sums."""
    size, total = len(y), 0.0
    for i in range(size):
        every = log_q(mean[i].expand_as(y), log_var[i].expand_as(y), y)
        total = total + log_q(mean[i], log_var[i], y[i]) - every / size
    return total / size


def released_bound(mean, log_var, y, permutation):
    """The public code's: one permutation, halved twice, nothing below zero."""
    total = 0.0
    for i, other in enumerate(permutation.tolist()):
        gain = (mean[i] - y[other]) ** 2 - (mean[i] - y[i]) ** 2
        total = total + (gain / log_var[i].exp()).sum() / 2 / 2
    return (total / len(y)).clamp(min=0)
