"""SEA's validation by epoch, beside the training logs of its authors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mmgraph.analysis.leaderboard.published import published_logs
from mmgraph.analysis.leaderboard.table import Curve, validation_curve
from mmgraph.analysis.report.formatting import decimals
from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import (
    COLOURS,
    log_scale,
    panels,
    to_figure,
    whole_numbers,
)
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.train.batches.batch_size import automatic_batch_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The logs are of the public code.
SYSTEMS = ("SEA@released", "SEA")
#: Columns of the features that the logs are of.
AUTHORS_DIMS = {"visual": 4096, "textual": 384}
#: Epochs, counted from 1, that every log has.
EPOCHS = (1, 3, 6, 11, 21, 51, 101)
_LOGS = (
    "Authors' logs: counted from 0 there, from 1 here; the figure has some of their "
    "epochs, the best one among them. They chose by recall@20 on validation, too, and "
    "measured test in every epoch, which is done here once. Their losses are not "
    "compared: they are sums over batches, of logarithms to base 2, and the logs do "
    "not say the weight of the alignment that they were made with."
)


@dataclass(frozen=True)
class LoggedRun:
    """The validation of one training by epoch.

    Args:
        name: The system, or the data set of a log.
        seed: None for a log.
        epochs: Epochs that were trained.
        batches_per_epoch: Steps of the optimiser in one.
        curve: Epochs, counted from 1, with their recall@20 on validation.
        test: Test recall@20 at the best of them.
    """

    name: str
    seed: int | None
    epochs: int
    batches_per_epoch: int
    curve: Curve
    test: float

    @property
    def best(self) -> tuple[int, float]:
        """The best epoch (of equal ones the first) and its recall@20.

        Example:
            >>> LoggedRun("baby", None, 3, 9, [(1, 0.2), (2, 0.5), (3, 0.5)], 0.4).best
            (2, 0.5)
        """
        return max(self.curve, key=lambda point: point[1])

    def shares(self) -> Curve:
        """The curve over its best value, for data whose levels differ.

        Example:
            >>> LoggedRun("baby", None, 2, 9, [(1, 0.25), (2, 0.5)], 0.4).shares()
            [(1, 0.5), (2, 1.0)]
        """
        _, best = self.best
        return [(epoch, value / best if best else 0.0) for epoch, value in self.curve]


def sea_convergence(context: ExperimentContext) -> ExperimentResult:
    """Validation of SEA by epoch beside its authors' logs of Baby, Sports, Clothing.

    Levels stand side by side where the counts of the data are those of a log; the
    shape, each run over its own best value, on any data.
    """
    context.require_modalities()
    specs, _ = context.buildable(SYSTEMS, required=True)
    lines = context.bench(specs)
    histories = context.histories(lines)
    runs = [_logged(line, histories.get(line["key"], [])) for line in lines]
    own = [run for run in runs if run.curve]
    logs = _logs()
    beside = [log for log in logs if log.name == context.dataset]
    name = context.source.name
    about = _comparable(context, beside, runs)
    numbers = {
        "levels_compare": bool(beside),
        "runs": [asdict(run) for run in own],
        "logs": [asdict(log) for log in logs],
    }
    return ExperimentResult(
        numbers,
        [about],
        tables=[_table(own, logs, f"Convergence of SEA on {name} and in its logs")],
        figures=[_figure(own, logs, beside, name)] if own else [],
        notes=[_LOGS],
    )


def _logs() -> list[LoggedRun]:
    return [
        LoggedRun(
            name,
            None,
            log["epochs"],
            log["batches_per_epoch"],
            [(epoch, value) for epoch, value in log["curve"]],
            log["test"],
        )
        for name, log in published_logs("SEA").items()
    ]


def _logged(line: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> LoggedRun:
    train, size = line["counts"]["train"], line["trainer"]["batch_size"]
    size = automatic_batch_size(train) if size == "auto" else size
    return LoggedRun(
        line["spec"],
        line["seed"],
        line["epochs"],
        -(-train // size),
        validation_curve(history),
        line["metrics"]["test"]["recall@20"],
    )


def _comparable(
    context: ExperimentContext, beside: Sequence[LoggedRun], runs: Sequence[LoggedRun]
) -> str:
    """What of these runs can be compared with the logs, in sentences."""
    batches = sorted({run.batches_per_epoch for run in runs})
    here = " or ".join(map(str, batches))
    epochs = (
        f"An epoch has {here} batches here, 58 (Baby), 107 (Sports) and 97 (Clothing) "
        "in the logs, whose learning rate is 1e-4: where these differ, an epoch is "
        "another amount of training."
    )
    if not beside:
        return (
            f"Of {context.source.name} there is no log (by counts of users, items and "
            "interactions), so levels are not compared: what compares is the shape, "
            f"each run over its own best value. {epochs}"
        )
    features = "have features of as many columns, which need not be the same"
    if context.dims != AUTHORS_DIMS:
        found = ", ".join(f"{m} {dim}" for m, dim in context.dims.items())
        features = f"have other features ({found}; theirs: visual 4096, textual 384)"
    return (
        f"{context.source.name} has the counts of the authors' {beside[0].name}, so "
        f"levels stand side by side. They compare as far as features and split are "
        f"theirs: these data {features}, and the split may be another draw of the "
        f"same rule. {epochs}"
    )


def _figure(
    own: Sequence[LoggedRun],
    logs: Sequence[LoggedRun],
    beside: Sequence[LoggedRun],
    name: str,
) -> Figure:
    drawing, (left, right) = panels(2, width=5.4, height=4.0)
    colours = _colours([*own, *logs])
    _draw(left, [(run, run.curve) for run in [*own, *beside]], colours)
    _draw(right, [(run, run.shares()) for run in [*own, *logs]], colours)
    log_scale(right, "x")
    left.set_ylabel("validation recall@20")
    right.set_ylabel("fraction of the run's best recall@20")
    level = f", and in the authors' log of {beside[0].name} (dashed)" if beside else ""
    caption = (
        f"Left: recall@20 on validation by epoch of SEA on {name}, a line per seed"
        f"{level}. Right: the same over the best value of each run, beside the "
        "authors' three logs (dashed), epochs in steps of equal ratio."
    )
    best = max(own, key=lambda run: run.best[1])
    epoch, value = best.best
    alt = (
        f"Rising lines over the epochs; the highest validation here is {value:.4f}, of "
        f"{best.name} in epoch {epoch}."
    )
    rows: list[list[Cell]] = [
        [_label(run), run.seed, epoch, value, share]
        for run in [*own, *logs]
        for (epoch, value), (_, share) in zip(run.curve, run.shares(), strict=True)
    ]
    columns = ["run", "seed", "epoch", "validation recall@20", "fraction of best"]
    return to_figure(drawing, caption, alt, Table(columns, rows))


def _draw(
    ax: Axes,
    curves: Sequence[tuple[LoggedRun, Curve]],
    colours: Mapping[str, str],
) -> None:
    """Draw a line per run, the logs dashed, all seeds of a system in its colour."""
    labelled = set()
    for run, curve in curves:
        label = _label(run)
        ax.plot(
            *zip(*curve, strict=True),
            color=colours[label],
            ls="-" if run.seed is not None else "--",
            lw=1.2,
            marker="." if len(curve) < 30 else None,
            label="_" * (label in labelled) + label,
        )
        labelled.add(label)
    ax.set_xlabel("epoch, counted from 1")
    ax.set_ylim(0, 1.05 * max(value for _, curve in curves for _, value in curve) or 1)
    whole_numbers(ax.xaxis)
    ax.legend(frameon=False, fontsize="small", loc="lower right")


def _colours(runs: Sequence[LoggedRun]) -> dict[str, str]:
    labels = dict.fromkeys(_label(run) for run in runs)
    return dict(zip(labels, COLOURS, strict=False))


def _table(own: Sequence[LoggedRun], logs: Sequence[LoggedRun], caption: str) -> Table:
    rows: list[list[Cell]] = []
    for run in [*own, *logs]:
        shares = dict(run.shares())
        epoch, value = run.best
        rows.append(
            [
                *(_label(run), run.seed, run.batches_per_epoch, run.epochs, epoch),
                *(decimals(value), decimals(run.test)),
                *(f"{100 * shares[e]:.0f} %" if e in shares else "" for e in EPOCHS),
            ]
        )
    columns = ["Run", "Seed", "Batches per epoch", "Epochs", "Best epoch"]
    columns += ["Valid R@20", "Test R@20", *(f"after {e}" for e in EPOCHS)]
    return Table(columns, rows, f"{caption}: fraction of the best value after epochs")


def _label(run: LoggedRun) -> str:
    return run.name if run.seed is not None else f"authors' log, {run.name}"
