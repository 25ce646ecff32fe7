"""Development of CLEAR's shared directions in training, drawn and tabled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import (
    COLOURS,
    DASHES,
    panels,
    to_figure,
    whole_numbers,
)
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.trace import Trace, Undo, undo_ratios
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AFFINITY_AXIS = "affinity to the refresh before"
#: What a reader must know of that axis.
AFFINITY = (
    "affinity of its directions with those of the refresh before, ‖UᵀU′‖²/k (k the "
    "smaller rank; 1 is no drift)"
)

#: Options of CLEAR with which ``rank`` and the covariance are what it projects by.
_RANK_IS_GIVEN: Mapping[str, Any] = {
    "energy": None,
    "penalty": None,
    "effective_rank": False,
    "directions": "covariance",
}


@dataclass(frozen=True)
class TracedRun:
    """A run, its refreshes by modality, and the undo ratios of its projection."""

    label: str
    seed: int
    strength: float
    traces: Mapping[str, Trace]
    undo: Undo


def check_given_rank(options: Mapping[str, Any]) -> None:
    """Refuse a CLEAR that chooses its rank, or other directions, by itself.

    Args:
        options: Of the system CLEAR.

    Raises:
        UserError: If ``rank`` and the covariance are not what was projected by.
    """
    for name, usual in _RANK_IS_GIVEN.items():
        if options[name] != usual:
            raise UserError(
                f"this experiment is about a given rank, and {name} is "
                f"{options[name]!r}",
                f"leave {name} away, or set rank to what it chooses",
            )


def traced_run(
    label: str,
    line: Mapping[str, Any],
    traces: Mapping[str, Trace],
    without: Mapping[str, Trace],
) -> TracedRun:
    """A run beside the one that differs from it in strength 0 alone.

    Args:
        label: Its name for a reader.
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
    modalities = _differing_modalities(runs, measure)
    labelled = set()
    for run in runs:
        for n, name in enumerate(modalities):
            if name not in run.traces:
                continue
            trace = run.traces[name]
            values = getattr(trace, measure)
            points = [
                p for p in zip(trace.epoch, values, strict=True) if p[1] is not None
            ]
            text = run.label if len(modalities) == 1 else f"{run.label}, {name}"
            ax.plot(
                [epoch for epoch, _ in points],
                [value for _, value in points],
                color=colours[run.label],
                ls=DASHES[n % len(DASHES)],
                marker="." if len(points) < 30 else None,
                label=None if text in labelled else text,
            )
            labelled.add(text)
    epoch_axis(ax)


def draw_affinity(
    ax: Axes, runs: Sequence[TracedRun], colours: Mapping[str, str]
) -> None:
    """Draw the drift of the shared directions: 1 is none."""
    draw_measure(ax, runs, "affinity", colours)
    ax.set_ylabel(AFFINITY_AXIS)
    ax.set_ylim(0, 1.05)


def epoch_axis(ax: Axes) -> None:
    """Label the bottom with whole epochs."""
    ax.set_xlabel("epoch, at its start")
    whole_numbers(ax.xaxis)


def refreshes_figure(runs: Sequence[TracedRun], data: str) -> Figure:
    """Rank and drift of the shared directions of several variants by epoch."""
    drawing, (left, right) = panels(2, width=5.4, height=3.8)
    colours = colours_of(runs)
    _draw_ranks(left, runs, colours)
    draw_affinity(right, runs, colours)
    for ax in (left, right):
        if ax.lines:
            ax.legend(frameon=False, fontsize="small")
    seeds = {run.seed for run in runs}
    caption = (
        f"Each refresh of CLEAR's projection on {data}. Left: its rank, where it "
        "projects. Right: "
        f"{AFFINITY}{'; a line per seed' if len(seeds) > 1 else ''}."
    )
    first = {run.label: run for run in reversed(runs)}  # of each label
    ends = "; ".join(filter(None, (_last_values(first[label]) for label in colours)))
    alt = f"Lines of rank and of affinity over the epochs. {ends}."
    return to_figure(drawing, caption, alt, _refreshes_data(runs))


def refreshes_table(runs: Sequence[TracedRun], data: str) -> Table:
    """Ranks, mean drift and undo ratio of each variant, over its runs."""
    rows: list[list[Cell]] = []
    for label in dict.fromkeys(run.label for run in runs):
        own = [run for run in runs if run.label == label]
        traces = [trace for run in own for trace in run.traces.values()]
        projects = any(run.strength for run in own)
        ranks = [rank for trace in traces for rank in trace.rank]
        affinities = [a for trace in traces for a in trace.affinity if a is not None]
        firsts = [first_ratio(run.undo) for run in own]
        rows.append(
            [
                label,
                *((min(ranks), max(ranks)) if projects else (None, None)),
                _mean(affinities),
                _mean([ratio for ratio in firsts if ratio is not None]),
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


def _differing_modalities(runs: Sequence[TracedRun], measure: str) -> list[str]:
    """The modalities but for those whose values are all those of an earlier one."""
    values: dict[str, list[Any]] = {}
    for name in dict.fromkeys(m for run in runs for m in run.traces):
        own = [getattr(r.traces[name], measure) for r in runs if name in r.traces]
        if own not in values.values():
            values[name] = own
    return list(values)


def _draw_ranks(
    ax: Axes, runs: Sequence[TracedRun], colours: Mapping[str, str]
) -> None:
    from matplotlib.ticker import MaxNLocator

    # At strength 0 directions are found, and nothing is done with them.
    draw_measure(ax, [run for run in runs if run.strength], "rank", colours)
    ax.set_ylabel("rank k: directions in use")
    ax.margins(y=0.1)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def _last_values(run: TracedRun) -> str:
    trace = next(iter(run.traces.values()))
    parts = []
    if run.strength:
        parts.append(f"rank {trace.rank[0]} first, {trace.rank[-1]} last")
    if trace.affinity[-1] is not None:
        parts.append(f"last affinity {trace.affinity[-1]:.2f}")
    return f"{run.label}: {', '.join(parts)}" if parts else ""


def _refreshes_data(runs: Sequence[TracedRun]) -> Table:
    rows: list[list[Cell]] = [
        [run.label, run.seed, modality, epoch, rank if run.strength else 0, affinity]
        for run in runs
        for modality, trace in run.traces.items()
        for epoch, rank, affinity in zip(
            trace.epoch, trace.rank, trace.affinity, strict=True
        )
    ]
    return Table(["variant", "seed", "modality", "epoch", "rank", "affinity"], rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
