"""How much the raw features of two modalities say the same: CLEAR's Figure 1."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.report.page import Cell, Table
from mmgraph.analysis.report.plots import (
    COLOURS,
    DASHES,
    MARKERS,
    figure_of,
    panels,
)
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.functional.redundancy.chance_overlap import chance_overlap
from mmgraph.functional.redundancy.divergence import (
    neighbour_overlap,
    overlap_coefficient,
)
from mmgraph.knn import knn_graph
from mmgraph.schema import ITEM, feature_key, mask_key

#: Neighbours whose similarities are pooled for the densities.
POOLED = 10
_BINS = 60


def clear_figure_1(lab: Lab) -> Outcome:
    r"""Similarities of the neighbours that each modality finds, and their overlap.

    Left: densities of the cosine of each item's ten nearest neighbours. Right: the
    mean share :math:`|N_K^a(i) \cap N_K^b(i)| / K` against :math:`K / (N - 1)`, what
    two random graphs would share, with the 95 % interval of their mean.
    """
    lab.need_modalities()
    features = complete_features(lab)
    num_items = len(next(iter(features.values())))
    ks = sorted({min(int(k), num_items - 1) for k in lab.grid["k"]})
    lists = {m: knn_graph(x, max(*ks, POOLED)) for m, x in features.items()}
    pooled = {m: _first(*found, POOLED)[1] for m, found in lists.items()}

    pairs: list[dict[str, Any]] = []
    for a, b in combinations(features, 2):
        shares = []
        for k in ks:
            graph_a, graph_b = (_first(*lists[m], k)[0] for m in (a, b))
            share = neighbour_overlap(graph_a, graph_b, num_items)
            chance = chance_overlap(k, num_items - 1, num_centres=num_items)
            times = share / chance.expected
            shares.append(
                {"k": k, "overlap": share, **chance._asdict(), "times": times}
            )
        pairs.append(
            {
                "modalities": [a, b],
                "density_overlap": overlap_coefficient(pooled[a], pooled[b]),
                "neighbours": shares,
            }
        )

    drawing, (left, right) = panels(2, width=5.4)
    scores = torch.cat(list(pooled.values())).double().numpy()
    edges = np.linspace(scores.min(), scores.max(), _BINS + 1)
    densities: list[list[Cell]] = []
    for n, (modality, values) in enumerate(pooled.items()):
        height, _ = np.histogram(values.numpy(), bins=edges, density=True)
        left.stairs(height, edges, color=COLOURS[n], fill=True, alpha=0.25)
        left.stairs(
            *(height, edges), color=COLOURS[n], ls=DASHES[n % 4], label=modality
        )
        middle = (edges[1:] + edges[:-1]) / 2
        densities += [
            [modality, float(x), float(y)] for x, y in zip(middle, height, strict=True)
        ]
    left.set_xlabel(f"cosine of an item and its {POOLED} nearest")
    left.set_ylabel("density")
    left.legend(frameon=False)
    for n, pair in enumerate(pairs):
        points = pair["neighbours"]
        right.plot(
            ks,
            [point["overlap"] for point in points],
            color=COLOURS[n],
            marker=MARKERS[n],
            label=" and ".join(pair["modalities"]),
        )
    random = pairs[0]["neighbours"]
    expected = [point["expected"] for point in random]
    right.plot(ks, expected, color="black", ls="--", label="by chance, 95 %")
    low, high = ([point[side] for point in random] for side in ("low", "high"))
    right.fill_between(ks, low, high, color="black", alpha=0.2)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xticks(ks, [str(k) for k in ks])
    right.minorticks_off()
    right.set_xlabel("neighbours K")
    right.set_ylabel("shared neighbours (share of K)")
    right.legend(frameon=False)

    rows: list[list[Cell]] = [
        [
            " and ".join(pair["modalities"]),
            *(p["k"], p["overlap"], p["expected"], p["low"], p["high"], p["times"]),
        ]
        for pair in pairs
        for p in pair["neighbours"]
    ]
    columns = ["modalities", "K", "overlap", "by chance", "low", "high", "times chance"]
    table = Table(columns, rows, f"Overlap of nearest neighbours on {lab.source.name}")
    texts = [
        f"{' and '.join(pair['modalities'])}: {pair['density_overlap']:.2f}"
        for pair in pairs
    ]
    caption = (
        f"Raw features of {num_items:,} items of {lab.source.name} that have all "
        f"modalities. Left: cosines of each item with its {POOLED} nearest in each "
        f"modality (common area of the densities: {'; '.join(texts)}). Right: mean "
        "share of nearest neighbours that two modalities have in common, and what two "
        "random graphs would share, with its 95 % interval."
    )
    top = pairs[0]["neighbours"][0]
    alt = (
        f"Densities of cosines per modality, and curves of shared neighbours by K: at "
        f"K = {top['k']} {texts[0].partition(':')[0]} share {top['overlap']:.3f} of "
        f"their neighbours, by chance {top['expected']:.4f}."
    )
    figure = figure_of(
        drawing, caption, alt, ["modality", "cosine", "density"], densities
    )
    numbers = {"items": num_items, "pooled": POOLED, "pairs": pairs}
    return Outcome(numbers, tables=[table], figures=[figure])


def complete_items(lab: Lab) -> Tensor:
    """Indices of the items that have every modality."""
    store = lab.train[ITEM]
    present = torch.ones(store.num_nodes, dtype=torch.bool)
    for m in lab.modalities:
        present &= store[feature_key(m)].any(dim=1)
        if mask_key(m) in store:
            present &= store[mask_key(m)]
    return present.nonzero().flatten()


def complete_features(lab: Lab) -> dict[str, Tensor]:
    """Raw features of the items that have every modality, the same rows in each."""
    rows = complete_items(lab)
    return {m: lab.train[ITEM][feature_key(m)][rows] for m in lab.modalities}


def _first(edge_index: Tensor, similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first ``k`` of each equally long list."""
    width = len(similarity) // int(edge_index[1].max() + 1)
    kept = torch.arange(len(similarity)) % width < k
    return edge_index[:, kept], similarity[kept]
