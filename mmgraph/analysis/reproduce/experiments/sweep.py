"""Accuracy over the options of a system: CLEAR's Figure 4 and SEA's Figure 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import COLOURS, MARKERS, panels, to_figure
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.over_seeds import (
    bars_note,
    mean_text,
    means_over_seeds,
    seeds_note,
)
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.spec import ModelSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEA_OPTIONS = {
    "align_weight": "alignment weight α",
    "distance_weight": "distance weight β",
    "temperature": "temperature τ",
}
_METRICS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20"}
_TEST = (
    "Test metrics, as in the paper: this shows a landscape and chooses nothing. "
    "Whoever chooses by it has chosen on test."
)


def clear_figure_4(context: ExperimentContext) -> ExperimentResult:
    r"""Recall@20 over projection strength :math:`\lambda` and rank :math:`k`."""
    context.require_modalities()
    points = [
        {"strength": strength, "rank": rank}
        for strength, rank in product(context.grid["strength"], context.grid["rank"])
    ]
    specs = [
        ModelSpec("CLEAR", options={"rank": p["rank"], "strength": p["strength"]})
        for p in points
    ]
    means = _metrics_of(context, specs)
    cells = [point | metrics for point, metrics in zip(points, means, strict=True)]
    recalls = np.array([cell["recall@20"]["mean"] for cell in cells])
    best = cells[int(recalls.argmax())]
    notes = [
        seeds_note(context.seeds),
        _TEST,
        f"Range over the cells: {float(np.ptp(recalls)):.4f}. Best cell "
        f"{mean_text(best['recall@20'])}.",
    ]
    best_cell = {key: best[key] for key in ("strength", "rank")}
    return ExperimentResult(
        {"cells": cells, "best": best_cell},
        figures=[_heat_figure(context, cells, recalls)],
        notes=notes,
    )


def sea_figure_4(context: ExperimentContext) -> ExperimentResult:
    """Recall and NDCG over each of SEA's three options, the others held."""
    context.require_modalities()
    curves: dict[str, list[dict[str, Any]]] = {}
    for option in _SEA_OPTIONS:
        values = context.grid[option]
        specs = [ModelSpec("SEA", options={option: value}) for value in values]
        means = _metrics_of(context, specs)
        curves[option] = [
            {"value": value, **metrics}
            for value, metrics in zip(values, means, strict=True)
        ]
    best = {
        option: max(points, key=lambda point: point["recall@20"]["mean"])["value"]
        for option, points in curves.items()
    }
    notes = [
        seeds_note(context.seeds),
        _TEST,
        "The axes of the paper's figure are not printed; these grids are our own.",
    ]
    return ExperimentResult(
        {"curves": curves, "best": best},
        figures=[_curves_figure(context, curves, best)],
        notes=notes,
    )


def _metrics_of(
    context: ExperimentContext, specs: Sequence[ModelSpec]
) -> list[dict[str, Any]]:
    """Train the systems; their test metrics over the seeds, in the same order."""
    buildable, _ = context.buildable([str(spec) for spec in specs], required=True)
    lines = context.bench(buildable)
    means = {metric: means_over_seeds(lines, metric) for metric in _METRICS}
    return [{metric: means[metric][str(spec)] for metric in means} for spec in specs]


def _heat_figure(
    context: ExperimentContext, cells: Sequence[Mapping[str, Any]], recalls: np.ndarray
) -> Figure:
    strengths, ranks = context.grid["strength"], context.grid["rank"]
    drawing, (ax,) = panels(
        1, width=2 + 0.9 * len(ranks), height=1.6 + 0.6 * len(strengths)
    )
    _draw_heat(ax, recalls.reshape(len(strengths), len(ranks)))
    ax.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    ax.set_yticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    ax.set_xlabel("rank k (directions)")
    ax.set_ylabel("strength λ")
    drawing.colorbar(ax.images[0], ax=ax, label="Test Recall@20")
    caption = (
        f"Test recall@20 of CLEAR on {context.source.name} by strength and rank of the "
        "projection; darker is better."
    )
    best, lowest = cells[int(recalls.argmax())], cells[int(recalls.argmin())]
    alt = (
        f"Heat map of recall@20: best {best['recall@20']['mean']:.4f} at strength "
        f"{best['strength']:g} and rank {best['rank']}, lowest "
        f"{lowest['recall@20']['mean']:.4f} at strength {lowest['strength']:g} and "
        f"rank {lowest['rank']}."
    )
    rows: list[list[Cell]] = [
        [c["strength"], c["rank"], c["recall@20"]["mean"], c["ndcg@20"]["mean"]]
        for c in cells
    ]
    data = Table(["strength", "rank", *_METRICS.values()], rows)
    return to_figure(drawing, caption, alt, data)


def _draw_heat(ax: Axes, heat: np.ndarray) -> None:
    """Draw a matrix as a heat map with its values."""
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.imshow(heat, cmap="viridis_r", aspect="auto", origin="lower")
    middle = (heat.min() + heat.max()) / 2
    for (row, column), value in np.ndenumerate(heat):
        # The reversed map is dark where values are high.
        colour = "white" if value > middle else "black"
        ax.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour)


def _curves_figure(
    context: ExperimentContext,
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    best: Mapping[str, float],
) -> Figure:
    drawing, axes = panels(len(curves))
    for ax, (option, points) in zip(axes, curves.items(), strict=True):
        _draw_curves(ax, points, spreads=len(context.seeds) > 1)
        ax.set_xlabel(_SEA_OPTIONS[option])
    axes[0].legend(frameon=False)
    caption = (
        f"Test recall@20 and NDCG@20 of SEA on {context.source.name} over one option "
        "at a time (equal steps on the axes), the others as set"
        f"{bars_note(context.seeds)}."
    )
    alt = "Three pairs of curves; recall@20 is highest at " + ", ".join(
        f"{_SEA_OPTIONS[option]} = {value:g}" for option, value in best.items()
    )
    rows: list[list[Cell]] = [
        [option, p["value"], p["recall@20"]["mean"], p["ndcg@20"]["mean"]]
        for option, points in curves.items()
        for p in points
    ]
    data = Table(["option", "value", *_METRICS.values()], rows)
    return to_figure(drawing, caption, f"{alt}.", data)


def _draw_curves(
    ax: Axes, points: Sequence[Mapping[str, Any]], *, spreads: bool
) -> None:
    """Draw both metrics over the values of an option, with sd if there is one."""
    # Equal steps: the values span decades and begin at 0.
    positions = range(len(points))
    for n, (metric, name) in enumerate(_METRICS.items()):
        sds = [point[metric]["sd"] or 0.0 for point in points]
        ax.errorbar(
            positions,
            [point[metric]["mean"] for point in points],
            yerr=sds if spreads else None,
            color=COLOURS[n],
            marker=MARKERS[n],
            capsize=3,
            label=name,
        )
    ax.set_xticks(positions, [f"{point['value']:g}" for point in points])
    ax.set_ylabel("Test metric")
    ax.set_ylim(bottom=0)
