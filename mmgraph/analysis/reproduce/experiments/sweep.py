"""How much the options matter: CLEAR's Figure 4 and SEA's Figure 4."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from mmgraph.analysis.report.page import Cell
from mmgraph.analysis.report.plots import COLOURS, MARKERS, figure_of, panels
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.formatting import bars_note, means, seeds_note, spread
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.bench.spec import ModelSpec

_SEA_OPTIONS = {
    "align_weight": "alignment weight α",
    "distance_weight": "distance weight β",
    "temperature": "temperature τ",
}
_TEST = (
    "Test metrics, as in the paper: this shows a landscape and chooses nothing. "
    "Whoever chooses by it has chosen on test."
)


def clear_figure_4(lab: Lab) -> Outcome:
    r"""Recall@20 over projection strength :math:`\lambda` and rank :math:`k`."""
    lab.need_modalities()
    strengths, ranks = list(lab.grid["strength"]), list(lab.grid["rank"])
    cells = {
        (strength, rank): ModelSpec(
            "CLEAR", options={"rank": rank, "strength": strength}
        )
        for strength, rank in product(strengths, ranks)
    }
    specs, _ = lab.able([str(spec) for spec in cells.values()], must=True)
    lines = lab.bench(specs)
    found = {metric: means(lines, metric) for metric in ("recall@20", "ndcg@20")}
    entries: list[dict[str, Any]] = [
        {
            "strength": strength,
            "rank": rank,
            "recall@20": found["recall@20"][str(spec)],
            "ndcg@20": found["ndcg@20"][str(spec)],
        }
        for (strength, rank), spec in cells.items()
    ]
    values = np.array([entry["recall@20"]["mean"] for entry in entries])
    heat = values.reshape(len(strengths), len(ranks))

    drawing, (ax,) = panels(
        1, width=2 + 0.9 * len(ranks), height=1.6 + 0.6 * len(strengths)
    )
    ax.spines[:].set_visible(False)
    image = ax.imshow(heat, cmap="viridis_r", aspect="auto", origin="lower")
    middle = (heat.min() + heat.max()) / 2
    for (row, column), value in np.ndenumerate(heat):
        # The reversed map is dark where values are high.
        colour = "white" if value > middle else "black"
        ax.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour)
    ax.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    ax.set_yticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    ax.set_xlabel("rank k (directions)")
    ax.set_ylabel("strength λ")
    drawing.colorbar(image, ax=ax, label="Test Recall@20")

    best = entries[int(values.argmax())]
    lowest = entries[int(values.argmin())]
    caption = (
        f"Test recall@20 of CLEAR on {lab.source.name} by strength and rank of the "
        "projection; darker is better."
    )
    alt = (
        f"Heat map of recall@20: best {best['recall@20']['mean']:.4f} at strength "
        f"{best['strength']:g} and rank {best['rank']}, lowest "
        f"{lowest['recall@20']['mean']:.4f} at strength {lowest['strength']:g} and "
        f"rank {lowest['rank']}."
    )
    rows: list[list[Cell]] = [
        [e["strength"], e["rank"], e["recall@20"]["mean"], e["ndcg@20"]["mean"]]
        for e in entries
    ]
    columns = ["strength", "rank", "Recall@20", "NDCG@20"]
    notes = [
        seeds_note(lab.seeds),
        _TEST,
        f"Range over the cells: {float(np.ptp(values)):.4f}. Best cell "
        f"{spread(best['recall@20'])}.",
    ]
    figure = figure_of(drawing, caption, alt, columns, rows)
    best_cell = {key: best[key] for key in ("strength", "rank")}
    return Outcome({"cells": entries, "best": best_cell}, figures=[figure], notes=notes)


def sea_figure_4(lab: Lab) -> Outcome:
    """Recall and NDCG over each of SEA's three options, the others held."""
    lab.need_modalities()
    curves: dict[str, list[dict[str, Any]]] = {}
    for option in _SEA_OPTIONS:
        cells = {
            value: str(ModelSpec("SEA", options={option: value}))
            for value in lab.grid[option]
        }
        specs, _ = lab.able(list(cells.values()), must=True)
        lines = lab.bench(specs)
        found = {metric: means(lines, metric) for metric in ("recall@20", "ndcg@20")}
        curves[option] = [
            {"value": value, **{m: found[m][label] for m in found}}
            for value, label in cells.items()
        ]

    drawing, axes = panels(len(curves))
    many = len(lab.seeds) > 1
    for ax, (option, points) in zip(axes, curves.items(), strict=True):
        # Equal steps: the values span decades and begin at 0.
        places = range(len(points))
        for n, (metric, name) in enumerate(
            (("recall@20", "Recall@20"), ("ndcg@20", "NDCG@20"))
        ):
            ax.errorbar(
                places,
                [point[metric]["mean"] for point in points],
                yerr=[point[metric]["sd"] or 0.0 for point in points] if many else None,
                color=COLOURS[n],
                marker=MARKERS[n],
                capsize=3,
                label=name,
            )
        ax.set_xticks(places, [f"{point['value']:g}" for point in points])
        ax.set_xlabel(_SEA_OPTIONS[option])
        ax.set_ylabel("Test metric")
        ax.set_ylim(bottom=0)
    axes[0].legend(frameon=False)

    best = {
        option: max(points, key=lambda point: point["recall@20"]["mean"])["value"]
        for option, points in curves.items()
    }
    caption = (
        f"Test recall@20 and NDCG@20 of SEA on {lab.source.name} over one option at a "
        f"time (equal steps on the axes), the others as set{bars_note(lab.seeds)}."
    )
    alt = "Three pairs of curves; recall@20 is highest at " + ", ".join(
        f"{_SEA_OPTIONS[option]} = {value:g}" for option, value in best.items()
    )
    columns = ["option", "value", "Recall@20", "NDCG@20"]
    rows: list[list[Cell]] = [
        [option, p["value"], p["recall@20"]["mean"], p["ndcg@20"]["mean"]]
        for option, points in curves.items()
        for p in points
    ]
    figure = figure_of(drawing, caption, f"{alt}.", columns, rows)
    notes = [
        seeds_note(lab.seeds),
        _TEST,
        "The axes of the paper's figure are not printed; these grids are our own.",
    ]
    return Outcome({"curves": curves, "best": best}, figures=[figure], notes=notes)
