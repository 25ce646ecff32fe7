"""How CLEAR's shared directions develop in training, drawn and tabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmgraph.analysis.report.page import Cell, Figure, Table
from mmgraph.analysis.report.plots import COLOURS, DASHES, figure_of, panels
from mmgraph.analysis.reproduce.trace import Trace, Undo, undo_ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

AFFINITY_AXIS = "affinity to the refresh before"
#: What a reader must know of that axis.
AFFINITY = (
    "affinity of its directions with those of the refresh before, ‖UᵀU′‖²/k (k the "
    "smaller rank; 1 is no drift)"
)


@dataclass(frozen=True)
class TracedRun:
    """A run, its refreshes by modality, and what of the projection it undid."""

    label: str
    seed: int
    strength: float
    traces: Mapping[str, Trace]
    undo: Undo


def undone(
    label: str,
    line: Mapping[str, Any],
    traces: Mapping[str, Trace],
    without: Mapping[str, Trace],
) -> TracedRun:
    """A run beside the one that differs from it in strength 0 alone.

    Args:
        label: What a reader knows it by.
        line: Its line of results.
        traces: Its refreshes.
        without: Those of the other.
    """
    options = line["options"]
    undo = undo_ratios(traces, without, options["strength"], sides=options["sides"])
    return TracedRun(label, line["seed"], options["strength"], traces, undo)


def colours_of(runs: Sequence[TracedRun]) -> dict[str, str]:
    """A colour for each label."""
    labels = dict.fromkeys(run.label for run in runs)
    return {label: COLOURS[n % len(COLOURS)] for n, label in enumerate(labels)}


def draw_measure(
    ax: Axes, runs: Sequence[TracedRun], measure: str, colours: Mapping[str, str]
) -> None:
    """A line per run and modality over the epochs: colour by label, dash by modality.

    Modalities of which all lines would be the same share one.
    """
    names = list(dict.fromkeys(m for run in runs for m in run.traces))
    drawn: dict[str, list[Any]] = {}
    for name in names:
        values = [getattr(r.traces[name], measure) for r in runs if name in r.traces]
        if values not in drawn.values():
            drawn[name] = values
    told = set()
    for run in runs:
        for n, name in enumerate(drawn):
            if name not in run.traces:
                continue
            trace = run.traces[name]
            text = run.label if len(drawn) == 1 else f"{run.label}, {name}"
            points = [
                (epoch, value)
                for epoch, value in zip(
                    trace.epoch, getattr(trace, measure), strict=True
                )
                if value is not None
            ]
            ax.plot(
                [epoch for epoch, _ in points],
                [value for _, value in points],
                color=colours[run.label],
                ls=DASHES[n % len(DASHES)],
                marker="." if len(points) < 30 else None,
                label=None if text in told else text,
            )
            told.add(text)
    epoch_axis(ax)


def epoch_axis(ax: Axes) -> None:
    """Whole epochs along the bottom."""
    ax.set_xlabel("epoch, at its start")
    ax.xaxis.set_major_locator(_whole_numbers())


def refreshes_figure(runs: Sequence[TracedRun], data: str) -> Figure:
    """Rank and drift of the shared directions of several variants by epoch."""
    drawing, (left, right) = panels(2, width=5.4, height=3.8)
    colours = colours_of(runs)
    # At strength 0 directions are found, and nothing is done with them.
    draw_measure(left, [run for run in runs if run.strength], "rank", colours)
    left.set_ylabel("rank k: directions in use")
    left.margins(y=0.1)
    left.set_ylim(bottom=0)
    left.yaxis.set_major_locator(_whole_numbers())
    draw_measure(right, runs, "affinity", colours)
    right.set_ylabel(AFFINITY_AXIS)
    right.set_ylim(0, 1.05)
    for ax in (left, right):
        if ax.lines:
            ax.legend(frameon=False, fontsize="small")
    seeds = {run.seed for run in runs}
    caption = (
        f"Each refresh of CLEAR's projection on {data}. Left: its rank, where it "
        "projects. Right: "
        f"{AFFINITY}{'; a line per seed' if len(seeds) > 1 else ''}."
    )
    ends = []
    for label in dict.fromkeys(run.label for run in runs):
        run = next(run for run in runs if run.label == label)
        trace = next(iter(run.traces.values()))
        found = []
        if run.strength:
            found.append(f"rank {trace.rank[0]} first, {trace.rank[-1]} last")
        if trace.affinity[-1] is not None:
            found.append(f"last affinity {trace.affinity[-1]:.2f}")
        if found:
            ends.append(f"{label}: {', '.join(found)}")
    alt = f"Lines of rank and of affinity over the epochs. {'; '.join(ends)}."
    rows: list[list[Cell]] = [
        [run.label, run.seed, modality, epoch, rank if run.strength else 0, affinity]
        for run in runs
        for modality, trace in run.traces.items()
        for epoch, rank, affinity in zip(
            trace.epoch, trace.rank, trace.affinity, strict=True
        )
    ]
    columns = ["variant", "seed", "modality", "epoch", "rank", "affinity"]
    return figure_of(drawing, caption, alt, columns, rows)


def refreshes_table(runs: Sequence[TracedRun], data: str) -> Table:
    """Ranks, mean drift and undo ratio of each variant, over its runs."""
    rows: list[list[Cell]] = []
    for label in dict.fromkeys(run.label for run in runs):
        ours = [run for run in runs if run.label == label]
        found = [trace for run in ours for trace in run.traces.values()]
        projects = any(run.strength for run in ours)
        ranks = [rank for trace in found for rank in trace.rank]
        drifts = [a for trace in found for a in trace.affinity if a is not None]
        firsts = [first_ratio(run.undo) for run in ours]
        known = [value for value in firsts if value is not None]
        rows.append(
            [
                *(label, *((min(ranks), max(ranks)) if projects else (None, None))),
                sum(drifts) / len(drifts) if drifts else None,
                sum(known) / len(known) if known else None,
            ]
        )
    columns = ["Variant", "Least rank", "Largest rank", "Mean affinity"]
    columns.append("Undo ratio of σ₁")
    return Table(columns, rows, f"Refreshes of the projection on {data}")


def first_ratio(undo: Undo) -> float | None:
    """Undo ratio of the first direction at the last epoch of both runs.

    Example:
        >>> first_ratio(Undo([1, 2], [[0.5], [0.75, 0.1]]))
        0.75
        >>> first_ratio(Undo()) is None
        True
    """
    return undo.ratio[-1][0] if undo.ratio and undo.ratio[-1] else None


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)
