"""The worth of each part of a system: CLEAR's Figure 3 and SEA's Figure 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mmgraph.analysis.leaderboard.published import published_change
from mmgraph.analysis.leaderboard.render import comparison_cells
from mmgraph.analysis.leaderboard.table import Comparison
from mmgraph.analysis.report.formatting import change_text
from mmgraph.analysis.report.plots import COLOURS, panels, to_figure
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce import against_base
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.over_seeds import (
    bars_note,
    mean_text,
    means_over_seeds,
    seeds_note,
)
from mmgraph.analysis.reproduce.paper_columns import drop_empty_paper_columns
from mmgraph.analysis.reproduce.refreshes import (
    TracedRun,
    refreshes_figure,
    refreshes_table,
    traced_run,
)
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.analysis.reproduce.trace import traces
from mmgraph.bench.spec import ModelSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WITHOUT = "without null space"
_BARS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20"}
_CONTROL = (
    "Whether these data can tell what the encoders' input is worth, and so what a part "
    "acting on it is: mmgraph reproduce control --model NAME."
)
#: Data sets of the paper, which prints a range over the three of them.
_NDCG_FALLS = ("baby", "sports", "clothing")
_NDCG_FALL = (
    "Of NDCG@20 the paper's text prints a fall of 2.0 to 2.4 % without the projection, "
    "over its three data sets."
)
_REFRESHES = (
    "Undo ratio: (1-λ)² times the singular value trained with the projection over that "
    "trained without it (strength 0, same seed), before either projects and after "
    "equally many epochs, mean over seeds. 1: the encoder has grown the shared "
    "direction by all that the projection takes away. Two modalities only."
)


def clear_figure_3(context: ExperimentContext) -> ExperimentResult:
    """The projection with a fixed rank, none, and one of a dynamic rank."""
    context.require_modalities()
    variants = {"full": "CLEAR", _WITHOUT: "CLEAR:strength=0"}
    for energy in context.grid["energy"]:
        spec = ModelSpec("CLEAR", options={"energy": energy})
        variants[f"dynamic ratio {energy:g}"] = str(spec)
    result, lines = _ablate(context, variants)
    runs = _traced_runs(context, variants, lines)
    for name, entry in result.numbers["variants"].items():
        entry["runs"] = [
            {
                "seed": run.seed,
                "refreshes": {m: asdict(trace) for m, trace in run.traces.items()},
                "undo_ratio": asdict(run.undo),
            }
            for run in runs
            if run.label == name
        ]
    if runs:
        data = context.source.name
        result.figures = [*result.figures, refreshes_figure(runs, data)]
        result.tables = [*result.tables, refreshes_table(runs, data)]
        result.notes = [_REFRESHES, *result.notes]
    if context.dataset in _NDCG_FALLS:
        result.notes = [_NDCG_FALL, *result.notes]
    result.notes = [
        "Dynamic ratio: the rank is chosen anew in each epoch, as the fewest "
        "directions that hold this fraction of the squared singular values. The paper "
        "does not print its ratio.",
        *result.notes,
    ]
    return result


def sea_figure_3(context: ExperimentContext) -> ExperimentResult:
    """SEA without distancing, without alignment, and without both."""
    context.require_modalities()
    result, _ = _ablate(
        context,
        {
            "full": "SEA",
            "without distancing": "SEA:distance_weight=0",
            "without alignment": "SEA:align_weight=0",
            "without all": "SEA:align_weight=0,distance_weight=0",
        },
    )
    return result


def _traced_runs(
    context: ExperimentContext,
    variants: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
) -> list[TracedRun]:
    """The runs in the order of the variants, each beside that without projection."""
    histories = context.histories(lines)
    traces_of = {
        (line["spec"], line["seed"]): traces(histories.get(line["key"], ()))
        for line in lines
    }
    return [
        traced_run(
            name,
            line,
            traces_of[label, line["seed"]],
            {} if name == _WITHOUT else traces_of[variants[_WITHOUT], line["seed"]],
        )
        for name, label in variants.items()
        for line in lines
        if line["spec"] == label and traces_of[label, line["seed"]]
    ]


def _ablate(
    context: ExperimentContext, variants: Mapping[str, str]
) -> tuple[ExperimentResult, list[dict[str, Any]]]:
    """The result of an ablation, and the lines of results behind it."""
    specs, _ = context.buildable(list(variants.values()), required=True)
    lines = context.bench(specs)
    compared = against_base.comparisons(context, lines)
    entries = _entries(context, variants, lines, compared)
    table = _table(context, entries, compared)

    drawing, axes = panels(len(_BARS), width=5.2)
    for ax, metric in zip(axes, _BARS, strict=True):
        _draw_bars(ax, entries, metric, spreads=len(context.seeds) > 1)
    caption = (
        f"Test recall@20 and NDCG@20 on {context.source.name} with parts taken away"
        f"{bars_note(context.seeds)}."
    )
    best = max(entries, key=lambda name: entries[name]["recall@20"]["mean"])
    alt = f"Bars for {', '.join(entries)}; the highest recall@20 is that of {best}."
    notes = [seeds_note(context.seeds), *against_base.notes(compared), _CONTROL]
    if "Paper" in table.columns:
        notes.insert(1, "Paper: change of recall@20 as its text has it.")
    figure = to_figure(drawing, caption, alt, Table(table.columns, table.rows))
    numbers = {"variants": entries}
    return ExperimentResult(
        numbers, tables=[table], figures=[figure], notes=notes
    ), lines


def _entries(
    context: ExperimentContext,
    variants: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
    compared: Mapping[str, Comparison],
) -> dict[str, dict[str, Any]]:
    means = {metric: means_over_seeds(lines, metric) for metric in _BARS}
    entries: dict[str, dict[str, Any]] = {}
    for name, label in variants.items():
        entry: dict[str, Any] = {"spec": label}
        for metric in _BARS:
            entry[metric] = means[metric][label]
            full = means[metric][variants["full"]]["mean"]
            is_full = label == variants["full"] or not full
            change = None if is_full else entry[metric]["mean"] / full - 1
            entry[f"change_{metric}"] = change
        paper = published_change(context.dataset, label)
        entry["published_change_recall@20"] = paper and paper["recall@20"]
        entry["comparison"] = asdict(compared[label]) if label in compared else None
        entries[name] = entry
    return entries


def _table(
    context: ExperimentContext,
    entries: Mapping[str, Mapping[str, Any]],
    compared: Mapping[str, Comparison],
) -> Table:
    rows: list[list[Cell]] = [
        [
            name,
            mean_text(entry["recall@20"]),
            mean_text(entry["ndcg@20"]),
            change_text(entry["change_recall@20"]),
            change_text(entry["change_ndcg@20"]),
            *comparison_cells(compared.get(entry["spec"])),
            change_text(entry["published_change_recall@20"]),
        ]
        for name, entry in entries.items()
    ]
    columns = ["Variant", "R@20", "N@20", "Change of R@20", "Change of N@20"]
    columns += [*against_base.COLUMNS, "Paper"]
    table = Table(columns, rows, f"Ablation on {context.source.name}")
    return drop_empty_paper_columns(table)


def _draw_bars(
    ax: Axes, entries: Mapping[str, Mapping[str, Any]], metric: str, *, spreads: bool
) -> None:
    """A bar per variant, the first in a colour of its own, with sd if there is one."""
    means = [entry[metric]["mean"] for entry in entries.values()]
    sds = [entry[metric]["sd"] or 0.0 for entry in entries.values()]
    positions = range(len(entries))
    bars = ax.bar(
        positions,
        means,
        color=[COLOURS[1], *[COLOURS[0]] * (len(entries) - 1)],
        yerr=sds if spreads else None,
        capsize=4,
    )
    ax.bar_label(bars, [f"{mean:.4f}" for mean in means], padding=3)
    ax.set_xticks(positions, [name.replace(" ", "\n", 1) for name in entries])
    ax.set_ylabel(f"Test {_BARS[metric]}")
    ax.set_ylim(0, 1.15 * float(np.max(np.add(means, sds))) or 1.0)
