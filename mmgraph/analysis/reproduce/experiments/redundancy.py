"""Redundancy of the raw features of two modalities: CLEAR's Figure 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import (
    COLOURS,
    DASHES,
    MARKERS,
    log_scale,
    panels,
    to_figure,
)
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.complete_items import complete_features
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.functional.redundancy.chance_overlap import chance_overlap
from mmgraph.functional.redundancy.divergence import (
    neighbour_overlap,
    overlap_coefficient,
)
from mmgraph.knn import knn_graph

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Neighbours whose similarities are pooled for the densities.
POOLED = 10
_BINS = 60


def clear_figure_1(context: ExperimentContext) -> ExperimentResult:
    r"""Similarities of the nearest neighbours in each modality, and their overlap.

    Left: densities of the cosine of each item's ten nearest neighbours. Right: the
    mean ratio :math:`|N_K^a(i) \cap N_K^b(i)| / K` against :math:`K / (N - 1)`, that of
    two random graphs, with the 95 % interval of their mean.
    """
    context.require_modalities()
    features = complete_features(context)
    num_items = len(next(iter(features.values())))
    ks = sorted({min(int(k), num_items - 1) for k in context.grid["k"]})
    graphs = {m: knn_graph(x, max(*ks, POOLED)) for m, x in features.items()}
    pooled = {m: _nearest(*graph, POOLED)[1] for m, graph in graphs.items()}
    pairs = [
        {
            "modalities": [a, b],
            "density_overlap": overlap_coefficient(pooled[a], pooled[b]),
            "neighbours": [
                _overlap(k, num_items, *(_nearest(*graphs[m], k)[0] for m in (a, b)))
                for k in ks
            ],
        }
        for a, b in combinations(features, 2)
    ]
    name = context.source.name
    figure = _figure(name, num_items, pooled, pairs)
    table = _table(pairs, f"Overlap of nearest neighbours on {name}")
    numbers = {"items": num_items, "pooled": POOLED, "pairs": pairs}
    return ExperimentResult(numbers, tables=[table], figures=[figure])


def _nearest(edge_index: Tensor, similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The edges to the ``k`` nearest neighbours of each node, all of equal degree."""
    degree = len(similarity) // int(edge_index[1].max() + 1)
    kept = torch.arange(len(similarity)) % degree < k
    return edge_index[:, kept], similarity[kept]


def _overlap(k: int, num_items: int, a: Tensor, b: Tensor) -> dict[str, Any]:
    overlap = neighbour_overlap(a, b, num_items)
    chance = chance_overlap(k, num_items - 1, num_centres=num_items)
    times = overlap / chance.expected
    return {"k": k, "overlap": overlap, **chance._asdict(), "times": times}


def _figure(
    name: str,
    num_items: int,
    pooled: Mapping[str, Tensor],
    pairs: Sequence[Mapping[str, Any]],
) -> Figure:
    drawing, (left, right) = panels(2, width=5.4)
    densities = _draw_densities(left, pooled)
    _draw_overlaps(right, pairs)
    areas = [f"{_names(pair)}: {pair['density_overlap']:.2f}" for pair in pairs]
    caption = (
        f"Raw features of {num_items:,} items of {name} that have all modalities. "
        f"Left: cosines of each item with its {POOLED} nearest in each modality "
        f"(common area of the densities: {'; '.join(areas)}). Right: mean fraction of "
        "nearest neighbours that two modalities have in common, and that of two random "
        "graphs, with its 95 % interval."
    )
    first = pairs[0]["neighbours"][0]
    alt = (
        f"Densities of cosines per modality, and curves of common neighbours by K: at "
        f"K = {first['k']} {_names(pairs[0])} have {first['overlap']:.3f} of their "
        f"neighbours in common, by chance {first['expected']:.4f}."
    )
    data = Table(["modality", "cosine", "density"], densities)
    return to_figure(drawing, caption, alt, data)


def _draw_densities(ax: Axes, pooled: Mapping[str, Tensor]) -> list[list[Cell]]:
    """Draw the density of each modality; return rows of modality, cosine, density."""
    scores = torch.cat(list(pooled.values())).double().numpy()
    edges = np.linspace(scores.min(), scores.max(), _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    rows: list[list[Cell]] = []
    for n, (modality, values) in enumerate(pooled.items()):
        heights, _ = np.histogram(values.numpy(), bins=edges, density=True)
        colour, dash = COLOURS[n], DASHES[n % len(DASHES)]
        ax.stairs(heights, edges, color=colour, fill=True, alpha=0.25)
        ax.stairs(heights, edges, color=colour, ls=dash, label=modality)
        rows += [
            [modality, float(x), float(y)]
            for x, y in zip(middles, heights, strict=True)
        ]
    ax.set_xlabel(f"cosine of an item and its {POOLED} nearest")
    ax.set_ylabel("density")
    ax.legend(frameon=False)
    return rows


def _draw_overlaps(ax: Axes, pairs: Sequence[Mapping[str, Any]]) -> None:
    """Draw the overlap of each pair by K, and the band of chance."""
    by_chance = pairs[0]["neighbours"]
    ks = [point["k"] for point in by_chance]
    for n, pair in enumerate(pairs):
        overlaps = [point["overlap"] for point in pair["neighbours"]]
        ax.plot(ks, overlaps, color=COLOURS[n], marker=MARKERS[n], label=_names(pair))
    expected = [point["expected"] for point in by_chance]
    ax.plot(ks, expected, color="black", ls="--", label="by chance, 95 %")
    low, high = ([point[side] for point in by_chance] for side in ("low", "high"))
    ax.fill_between(ks, low, high, color="black", alpha=0.2)
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xticks(ks, [str(k) for k in ks])
    ax.set_xlabel("neighbours K")
    ax.set_ylabel("neighbours in common (fraction of K)")
    ax.legend(frameon=False)


def _table(pairs: Sequence[Mapping[str, Any]], caption: str) -> Table:
    keys = ("k", "overlap", "expected", "low", "high", "times")
    rows: list[list[Cell]] = [
        [_names(pair), *(point[key] for key in keys)]
        for pair in pairs
        for point in pair["neighbours"]
    ]
    columns = ["modalities", "K", "overlap", "by chance"]
    columns += ["by chance 95 % from", "by chance 95 % to", "times chance"]
    return Table(columns, rows, caption)


def _names(pair: Mapping[str, Any]) -> str:
    return " and ".join(pair["modalities"])
