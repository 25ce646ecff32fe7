"""From lines of results to a table: deviation, floor, published, significance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from mmgraph.analysis.leaderboard.published import (
    caveat,
    counts_of,
    published,
    recognise,
)
from mmgraph.analysis.statistics.crossed_bootstrap import crossed_bootstrap
from mmgraph.analysis.statistics.intervals import Interval
from mmgraph.analysis.statistics.significance import (
    HOW_COMPARED,
    RunsComparison,
    compare_runs,
    holm_corrected,
)
from mmgraph.bench.floors.tuned_floors import is_floor
from mmgraph.bench.records import same_data
from mmgraph.bench.spec import ModelSpec, format_options, parse_spec
from mmgraph.models.registry import VARIANTS

#: What a reader of comparisons with a base must know.
COMPARED = (
    "vs base: difference of recall@20 to the named base; by seed: of the runs of each "
    f"seed. {HOW_COMPARED}"
)
METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
TESTED = "recall@20"

#: By key of the run: ``{"user": ..., "recall@20": ...}``, one value per test user.
PerUser = Mapping[str, Mapping[str, np.ndarray]]
#: By key of the run: a row per epoch, as ``history.jsonl`` has them.
Histories = Mapping[str, Sequence[Mapping[str, Any]]]
#: Of a system, those that it may be compared with, the nearest first.
Bases = Callable[[ModelSpec], Sequence[ModelSpec]]
#: Epochs with their recall@20 on validation.
Curve = list[tuple[int, float]]


@dataclass(frozen=True)
class Comparison:
    """A variant against its base, p-values corrected over the whole table (Holm).

    ``interval`` is the 95 % bootstrap interval of the difference over users and seeds,
    of a single seed over users alone, as ``over_users`` is; ``p_value`` goes with
    ``interval``, the other two are over users alone. ``per_seed`` has the difference of
    each seed, None where the two were run with other seeds. ``detectable`` is the
    smallest difference that would be told from 0 in four of five such experiments.
    ``other_options`` are those that both have, with its value and the base's, where
    they differ and the variant's name does not say so: the difference is theirs, too.
    """

    base: str
    difference: float
    interval: Interval
    num_users: int
    t_p_value: float
    wilcoxon_p_value: float
    other_options: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    over_users: Interval | None = None
    per_seed: tuple[float, ...] | None = None
    p_value: float = 1.0
    detectable: float | None = None


@dataclass
class Row:
    """One system. ``sd`` is over seeds (n - 1), None with a single seed.

    ``interval`` is the 95 % bootstrap interval of recall@20 over users and seeds (of a
    single seed over users), None where their metrics were not kept. ``is_floor`` is
    True for systems without training. ``curves`` has the validation of each run by
    epoch, where it was kept. ``selection_seeds`` is the number of seeds that each of
    the ``tried`` points was tried with, None where that was not recorded.
    """

    label: str
    num_seeds: int
    mean: dict[str, float]
    sd: dict[str, float] | None
    valid: float
    epochs: float
    seconds_per_epoch: float
    peak_memory_bytes: int
    published: dict[str, Any] | None
    chosen: dict[str, Any]
    tried: int
    comparison: Comparison | None = None
    interval: Interval | None = None
    is_floor: bool = False
    curves: list[Curve] = field(default_factory=list)
    selection_seeds: int | None = None


@dataclass
class Leaderboard:
    """Rows, best test recall@20 first, and notes for the reader."""

    data: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def build_leaderboard(
    lines: Sequence[Mapping[str, Any]],
    per_user: PerUser | None = None,
    histories: Histories | None = None,
    *,
    bases: Bases = ModelSpec.ancestors,
) -> Leaderboard:
    """Summarise runs on one data set.

    Only lines of the same data as the last one count; where one system was run with
    several settings, the latest stand. Every variant is compared with the nearest
    system that it is a variant of (``FREEDOM+CLEAR:strength=0`` with ``FREEDOM+CLEAR``,
    that with ``FREEDOM``), over users and seeds. Floors are compared with nothing.

    Args:
        lines: Lines of ``results.jsonl``, in their order.
        per_user: Test metrics of each user, for the paired tests.
        histories: Rows of the training of each run, for its curve.
        bases: The systems that one may be compared with; the first that has lines is.

    Raises:
        ValueError: If there are no lines.

    Example:
        >>> metrics = dict.fromkeys(METRICS, 0.25)
        >>> line = {
        ...     "spec": "LightGCN", "data": "toy", "data_sha256": "", "seed": 1,
        ...     "key": "a", "options": {}, "trainer": {}, "epochs": 3,
        ...     "counts": {"users": 1, "items": 1, "train": 1, "valid": 1, "test": 1},
        ...     "metrics": {"valid": metrics, "test": metrics},
        ...     "seconds_per_epoch": 0.1, "peak_memory_bytes": 1,
        ... }
        >>> board = build_leaderboard([line])
        >>> board.rows[0].mean["recall@20"], board.rows[0].sd
        (0.25, None)
    """
    if not lines:
        raise ValueError("a leaderboard needs at least one line (got none)")
    latest = lines[-1]
    dataset = recognise(*counts_of(latest))
    groups = latest_runs([line for line in lines if same_data(line, latest)])
    rows = {label: _row(label, runs, dataset) for label, runs in groups.items()}
    for label, row in rows.items():
        row.curves = _curves(groups[label], histories or {})
    users = {label: _of_users(runs, per_user or {}) for label, runs in groups.items()}
    for label, values in users.items():
        if values is not None and values.shape[1] > 1:
            rows[label].interval = crossed_bootstrap(values).interval
    _compare(rows, users, groups, bases)
    ranked = sorted(rows.values(), key=lambda row: -row.mean[TESTED])
    return Leaderboard(latest["data"], ranked, _notes(ranked, latest, dataset))


def latest_runs(
    lines: Sequence[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """Of each system the runs with the settings and the data of its last one.

    Of several with one seed the last stands: trained again on data that are the same
    but for features it does not read, a run is no other seed.

    Example:
        >>> old = {"spec": "A", "options": {"lr": 1}, "trainer": {}, "seed": 1}
        >>> new = {"spec": "A", "options": {"lr": 2}, "trainer": {}, "seed": 1}
        >>> latest_runs([old, new, new | {"seed": 2}])["A"] == [new, new | {"seed": 2}]
        True
    """
    groups = {}
    for label, group in groupby(sorted(lines, key=_label), key=_label):
        runs = list(group)  # sorted() is stable: still in the order of the file
        same = [run for run in runs if _setting(run) == _setting(runs[-1])]
        groups[label] = list({run.get("seed"): run for run in same}.values())
    return groups


def _setting(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["options"], line["trainer"], line.get("data_sha256")


def _label(line: Mapping[str, Any]) -> str:
    return str(line["spec"])


def _row(label: str, runs: list[Mapping[str, Any]], dataset: str | None) -> Row:
    values = {m: np.array([r["metrics"]["test"][m] for r in runs]) for m in METRICS}
    many = len(runs) > 1
    selection = runs[-1].get("selection", {})
    return Row(
        label=label,
        num_seeds=len(runs),
        mean={m: float(v.mean()) for m, v in values.items()},
        sd={m: float(v.std(ddof=1)) for m, v in values.items()} if many else None,
        valid=float(np.mean([r["metrics"]["valid"][TESTED] for r in runs])),
        epochs=float(np.mean([r["epochs"] for r in runs])),
        seconds_per_epoch=float(np.mean([r["seconds_per_epoch"] for r in runs])),
        peak_memory_bytes=max(r["peak_memory_bytes"] for r in runs),
        published=_published(dataset, label),
        chosen=dict(selection.get("chosen", {})),
        tried=selection.get("tried", 0),
        is_floor=is_floor(runs[-1]),
        selection_seeds=selection.get("seeds"),
    )


def _curves(runs: Sequence[Mapping[str, Any]], histories: Histories) -> list[Curve]:
    """The validation of each run by epoch; floors have none."""
    curves = [validation_curve(histories.get(run["key"], [])) for run in runs]
    return [curve for curve in curves if curve]


def validation_curve(history: Sequence[Mapping[str, Any]]) -> Curve:
    """Epochs with their recall@20 on validation, from the rows of a history.

    Example:
        >>> validation_curve([{"epoch": 1}, {"epoch": 2, "valid/recall@20": 0.25}])
        [(2, 0.25)]
    """
    metric = f"valid/{TESTED}"
    return [
        (int(epoch["epoch"]), float(epoch[metric]))
        for epoch in history
        if epoch["epoch"] and metric in epoch
    ]


def _published(dataset: str | None, label: str) -> dict[str, Any] | None:
    """The papers' row, whatever the fidelity, but for no other options than theirs."""
    spec = parse_spec(label)
    return published(dataset, str(replace(spec, fidelity="paper")))


def _compare(
    rows: Mapping[str, Row],
    users: Mapping[str, np.ndarray | None],
    groups: Mapping[str, list[Mapping[str, Any]]],
    bases: Bases,
) -> None:
    base_of, compared = {}, []
    for label, row in rows.items():
        base = next((str(b) for b in bases(parse_spec(label)) if str(b) in rows), None)
        if base is None or row.is_floor:
            continue
        new, old = users[label], users[base]
        if new is not None and old is not None and new.shape[1] > 1:
            base_of[label] = base
            same = _seeds(groups[label]) == _seeds(groups[base])
            compared.append(compare_runs(new, old, same_seeds=same))
    for (label, base), result in zip(
        base_of.items(), holm_corrected(compared), strict=True
    ):
        other_options = _other_options(groups[label][-1], groups[base][-1])
        rows[label].comparison = _comparison(base, result, other_options)


def _comparison(
    base: str, result: RunsComparison, other_options: dict[str, tuple[Any, Any]]
) -> Comparison:
    both = result.over_both
    return Comparison(
        base,
        both.mean,
        both.interval,
        result.num_users,
        result.t_p_value,
        result.wilcoxon_p_value,
        other_options,
        both.over_users,
        result.per_seed,
        both.p_value,
        both.detectable,
    )


def _seeds(runs: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [run["seed"] for run in runs]


def _other_options(
    run: Mapping[str, Any], base: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    spec = parse_spec(run["spec"])
    named = {*spec.options, *VARIANTS.get(spec.model, (None, {}))[1]}
    mine, theirs = (line["options"] | line["trainer"] for line in (run, base))
    return {
        key: (value, theirs[key])
        for key, value in mine.items()
        if key not in named and key in theirs and value != theirs[key]
    }


def _floor_notes(rows: Sequence[Row]) -> list[str]:
    """The floors, and the systems that do not come up to the highest of them."""
    floors = [row for row in rows if row.is_floor]
    if len(floors) < 2:  # Popularity is in every leaderboard, and explained elsewhere
        return []
    highest = floors[0]
    notes = [
        f"Floors, without training: {', '.join(row.label for row in floors)}; all but "
        "Popularity are tuned on validation and run once, since they draw nothing."
    ]
    below = [
        row.label
        for row in rows
        if not row.is_floor and row.mean[TESTED] < highest.mean[TESTED]
    ]
    if below:
        notes.append(f"Below the highest floor, {highest.label}: {', '.join(below)}.")
    return notes


def other_options_note(label: str, comparison: Comparison) -> str | None:
    """A sentence on the further options in which a variant differs from its base.

    Example:
        >>> interval = Interval(-1.0, 1.0)
        >>> options = {"lr": (0.1, 0.2)}
        >>> comparison = Comparison("A", 0.1, interval, 9, 0.5, 0.5, options)
        >>> other_options_note("A+B", comparison)
        'A+B differs from A in lr=0.1 (A: 0.2), too.'
    """
    if not comparison.other_options:
        return None
    base = comparison.base
    options = ", ".join(
        f"{format_options({key: value})} ({base}: {other})"
        for key, (value, other) in comparison.other_options.items()
    )
    return f"{label} differs from {base} in {options}, too."


def _of_users(runs: list[Mapping[str, Any]], per_user: PerUser) -> np.ndarray | None:
    """Recall@20 of each run and user ``[S, U]``; users come in ascending order."""
    users = [per_user.get(run["key"]) for run in runs]
    known = [values[TESTED] for values in users if values is not None]
    return np.stack(known) if known and len(known) == len(runs) else None


def _notes(
    rows: Sequence[Row], line: Mapping[str, Any], dataset: str | None
) -> list[str]:
    counts = line["counts"]
    notes = [
        f"{line['data']}: {counts['users']:,} users, {counts['items']:,} items, "
        f"{counts['train']:,} / {counts['valid']:,} / {counts['test']:,} train / "
        f"validation / test interactions; SHA-256 {line['data_sha256'][:16]}.",
        "Full ranking of all items, training items left out. Epochs are chosen on "
        "validation recall@20; test is computed once per run, after that. "
        "Mean ± sd over seeds, or the single value.",
    ]
    if any(row.interval for row in rows):
        notes.append(
            "R@20 95 %: interval of the mean, users and seeds resampled alike; of a "
            "single seed, users alone."
        )
    if any(row.comparison for row in rows):
        notes.append(COMPARED)
    notes += _floor_notes(rows)
    for row in rows:
        if row.comparison and (note := other_options_note(row.label, row.comparison)):
            notes.append(note)
    if any(row.published for row in rows):
        notes.append(
            "Published: recall@20 of the papers on this data set (in brackets the "
            "measured ratio to it); it compares only if features and split are theirs."
        )
    warning = caveat(dataset)
    if warning:
        notes.append(f"{line['data']}: {warning}.")
    for row in rows:
        if row.chosen:
            notes.append(
                f"{row.label}: options chosen on validation, {row.tried} points tried"
                f"{_with_seeds(row.selection_seeds)}: {format_options(row.chosen)}."
            )
    return notes


def _with_seeds(number: int | None) -> str:
    if number is None:
        return ""
    return " with one seed" if number == 1 else f" with {number} seeds"
