"""What each part of a system is worth: CLEAR's Figure 3 and SEA's Figure 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mmgraph.analysis.leaderboard.published import published_change
from mmgraph.analysis.report.page import Cell, Table
from mmgraph.analysis.report.plots import COLOURS, figure_of, panels
from mmgraph.analysis.reproduce import against_base
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.formatting import (
    bars_note,
    means,
    per_cent,
    seeds_note,
    spread,
)
from mmgraph.analysis.reproduce.refreshes import (
    TracedRun,
    refreshes_figure,
    refreshes_table,
    undone,
)
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.analysis.reproduce.trace import traces
from mmgraph.bench.spec import ModelSpec

_WITHOUT = "without null space"
_BARS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20"}
_REFRESHES = (
    "Undo ratio: (1-λ)² times the singular value trained with the projection over that "
    "trained without it (strength 0, same seed), before either projects and after "
    "equally many epochs, mean over seeds. 1: the encoder has grown the shared "
    "direction by all that the projection takes away. Two modalities only."
)


def clear_figure_3(lab: Lab) -> Outcome:
    """The projection with a fixed rank, none, and one of a dynamic rank."""
    lab.need_modalities()
    variants = {"full": "CLEAR", _WITHOUT: "CLEAR:strength=0"}
    for energy in lab.grid["energy"]:
        spec = ModelSpec("CLEAR", options={"energy": energy})
        variants[f"dynamic ratio {energy:g}"] = str(spec)
    outcome, lines = _ablate(lab, variants)
    runs = _traced(lab, variants, lines)
    for name, entry in outcome.numbers["variants"].items():
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
        data = lab.source.name
        outcome.figures = [*outcome.figures, refreshes_figure(runs, data)]
        outcome.tables = [*outcome.tables, refreshes_table(runs, data)]
        outcome.notes = [_REFRESHES, *outcome.notes]
    outcome.notes = [
        "Dynamic ratio: the rank is chosen anew in each epoch, as the fewest "
        "directions that hold this share of the squared singular values. The paper "
        "does not print its ratio.",
        *outcome.notes,
    ]
    return outcome


def sea_figure_3(lab: Lab) -> Outcome:
    """SEA without distancing, without alignment, and without both."""
    lab.need_modalities()
    outcome, _ = _ablate(
        lab,
        {
            "full": "SEA",
            "without distancing": "SEA:distance_weight=0",
            "without alignment": "SEA:align_weight=0",
            "without all": "SEA:align_weight=0,distance_weight=0",
        },
    )
    return outcome


def _traced(
    lab: Lab, variants: Mapping[str, str], lines: Sequence[Mapping[str, Any]]
) -> list[TracedRun]:
    """The runs in the order of the variants, each beside that without projection."""
    histories = lab.histories(lines)
    found = {
        (line["spec"], line["seed"]): traces(histories.get(line["key"], ()))
        for line in lines
    }
    return [
        undone(
            name,
            line,
            found[label, line["seed"]],
            {} if name == _WITHOUT else found[variants[_WITHOUT], line["seed"]],
        )
        for name, label in variants.items()
        for line in lines
        if line["spec"] == label and found[label, line["seed"]]
    ]


def _ablate(
    lab: Lab, variants: Mapping[str, str]
) -> tuple[Outcome, list[dict[str, Any]]]:
    """What the page shows, and the lines of results behind it."""
    specs, _ = lab.able(list(variants.values()), must=True)
    lines = lab.bench(specs)
    found = {metric: means(lines, metric) for metric in _BARS}
    compared = against_base.comparisons(lab, lines)
    entries: dict[str, dict[str, Any]] = {}
    for name, label in variants.items():
        entry: dict[str, Any] = {"spec": label}
        for metric in _BARS:
            entry[metric] = found[metric][label]
            full = found[metric][variants["full"]]["mean"]
            reference = label == variants["full"] or not full
            change = None if reference else entry[metric]["mean"] / full - 1
            entry[f"change_{metric}"] = change
        paper = published_change(lab.dataset, label)
        entry["published_change_recall@20"] = paper and paper["recall@20"]
        entry["comparison"] = compared.get(label)
        entries[name] = entry

    drawing, axes = panels(len(_BARS), width=5.2)
    names = list(entries)
    for ax, (metric, title) in zip(axes, _BARS.items(), strict=True):
        values = [entries[name][metric]["mean"] for name in names]
        spreads = [entries[name][metric]["sd"] or 0.0 for name in names]
        bars = ax.bar(
            range(len(names)),
            values,
            color=[COLOURS[1], *[COLOURS[0]] * (len(names) - 1)],
            yerr=spreads if len(lab.seeds) > 1 else None,
            capsize=4,
        )
        ax.bar_label(bars, [f"{value:.4f}" for value in values], padding=3)
        ax.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names])
        ax.set_ylabel(f"Test {title}")
        ax.set_ylim(0, 1.15 * float(np.max(np.add(values, spreads))) or 1.0)

    columns = ["Variant", "R@20", "N@20", "Change of R@20", "Change of N@20"]
    columns += [*against_base.COLUMNS, "Paper"]
    rows: list[list[Cell]] = [
        [
            *(name, spread(entry["recall@20"]), spread(entry["ndcg@20"])),
            per_cent(entry["change_recall@20"]),
            per_cent(entry["change_ndcg@20"]),
            *against_base.comparison_cells(entry["comparison"]),
            per_cent(entry["published_change_recall@20"]),
        ]
        for name, entry in entries.items()
    ]
    caption = (
        f"Test recall@20 and NDCG@20 on {lab.source.name} with parts taken away"
        f"{bars_note(lab.seeds)}."
    )
    best = max(names, key=lambda name: entries[name]["recall@20"]["mean"])
    alt = f"Bars for {', '.join(names)}; the highest recall@20 is that of {best}."
    figure = figure_of(drawing, caption, alt, columns, rows)
    table = Table(columns, rows, f"Ablation on {lab.source.name}")
    notes = [
        seeds_note(lab.seeds),
        "Paper: change of recall@20 as its text has it, where these are its data.",
        *against_base.notes(compared),
    ]
    outcome = Outcome(
        {"variants": entries}, tables=[table], figures=[figure], notes=notes
    )
    return outcome, lines
