"""LATTICE and MICRO with whole item-item matrices.

``dense`` is the fixture of that name; ``k`` is 4 and ``raw_weight`` 0.6 throughout.
"""

from __future__ import annotations

import torch


def features(model, data, modality):
    """Frozen in the data, or trained."""
    frozen = model.fidelity == "paper"
    return data["item"][f"x_{modality}"] if frozen else model.features[modality]


def lattice_graphs(model, data, dense):
    """One matrix over all modalities."""
    e = torch.exp(model.modality_logits)
    alpha, raw, kept = e / e.sum(), [], []
    for m in model.dims:
        x = dense.linear(model.project[m], features(model, data, m))
        kept.append(dense.nearest_cosines(x, 4))
        raw.append(dense.item_graph(data, f"similar_{m}"))
    if model.fidelity == "paper":
        each = [dense.by_row_sums(w) for w in kept]
        learned = sum(a * w for a, w in zip(alpha, each, strict=True))
    else:
        whole = sum(a * w for a, w in zip(alpha, kept, strict=True))
        learned = dense.by_row_sums(whole)
    frozen = sum(a * s for a, s in zip(alpha, raw, strict=True))
    return [0.4 * learned + 0.6 * frozen]


def micro_graphs(model, data, dense):
    """One matrix per modality."""
    out = []
    for m in model.dims:
        x = dense.linear(model.project[m], features(model, data, m))
        learned = dense.by_row_sums(dense.nearest_cosines(x, 4))
        out.append(0.4 * learned + 0.6 * dense.item_graph(data, f"similar_{m}"))
    return out


GRAPHS = {"LATTICE": lattice_graphs, "MICRO": micro_graphs}


def graphs(model, data, dense):
    return GRAPHS[type(model).__name__](model, data, dense)


def views(model, dense, graphs):
    """Items after each graph, and the one view that is added to them."""
    depth = model.smooth.num_layers
    h = [dense.layers(graph, model.item.weight, depth)[-1] for graph in graphs]
    return h, dense.attention(model.fuse, h) if hasattr(model, "fuse") else h[0]


def embeddings(model, data, dense, graphs):
    edge_index = data["user", "interacts", "item"].edge_index
    spell = dense.user_item if model.fidelity == "paper" else dense.with_loops
    e = torch.cat([model.user.weight, model.item.weight])
    z = sum(dense.layers(spell(edge_index, 9, 14), e, 2)) / 3
    _, h = views(model, dense, graphs)
    return z[:9], z[9:] + dense.unit_rows(h)


def terms(model, data, batch, dense, graphs):
    z_user, z_item = embeddings(model, data, dense, graphs)
    rows = z_user[batch.user], z_item[batch.pos_item], z_item[batch.neg_item]
    size = 11 if model.fidelity == "paper" else 2048
    out = {
        "bpr": dense.bpr(z_user, z_item, batch),
        "reg": 0.3 * sum((r**2).sum() for r in rows) / 2 / size,
    }
    if hasattr(model, "contrast_weight"):
        each, h = views(model, dense, graphs)
        contrasts = [contrast(view, h, dense) for view in each]
        out["contrast"] = model.contrast_weight * sum(contrasts)
    return out


def contrast(x, y, dense):
    """Every item against all others of both views, at temperature 0.5."""
    x, y = dense.unit_rows(x), dense.unit_rows(y)
    across, within = torch.exp(x @ y.T / 0.5), torch.exp(x @ x.T / 0.5)
    below = across.sum(dim=1) + within.sum(dim=1) - within.diagonal()
    return -torch.log(across.diagonal() / below).mean()
