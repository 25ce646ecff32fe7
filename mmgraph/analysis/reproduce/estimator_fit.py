"""The fit of the estimator behind SEA's distance, read from a training history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmgraph.analysis.report.table import Cell, Table

#: What a reader of :func:`estimator_table` must know.
FIT = (
    "Clamped: fraction of batches whose bound was below 0, where the distance is cut "
    "off and has no gradient. Bounds in nats over all items, at the last evaluation: "
    "own, by the estimator of the training; refitted, by one fitted from scratch. Far "
    "below it, the own one bounds nothing."
)


@dataclass(frozen=True)
class EstimatorFit:
    """How well one modality's estimator was fitted.

    Attributes:
        clamped_first: Fraction of the first epoch's batches with a bound below 0.
        clamped_after: That of the epochs after it, None of a single epoch.
        own: Bound of the estimator at the last evaluation, in nats.
        refitted: Bound of one that was fitted from scratch.
    """

    clamped_first: float
    clamped_after: float | None
    own: float
    refitted: float


def estimator_fits(history: Sequence[Mapping[str, Any]]) -> dict[str, EstimatorFit]:
    """The fits in the rows of a history, by modality; none without such measures.

    Example:
        >>> measures = {"clamped": 0.5, "bound_own": 1.0, "bound_refitted": 2.0}
        >>> row = {f"measure/visual/{name}": v for name, v in measures.items()}
        >>> estimator_fits([{"epoch": 1, **row}])["visual"].refitted
        2.0
    """
    ending = "/bound_refitted"
    names = dict.fromkeys(
        key.removeprefix("measure/").removesuffix(ending)
        for row in history
        for key in row
        if key.endswith(ending)
    )
    fits = {}
    for name in names:
        clamped, own, refitted = (
            [row[key] for row in history if key in row]
            for key in (
                f"measure/{name}/{measure}"
                for measure in ("clamped", "bound_own", "bound_refitted")
            )
        )
        later = clamped[1:]
        after = sum(later) / len(later) if later else None
        fits[name] = EstimatorFit(clamped[0], after, own[-1], refitted[-1])
    return fits


def estimator_table(fits: Mapping[str, EstimatorFit], caption: str) -> Table:
    """A row per modality.

    Example:
        >>> estimator_table({"visual": EstimatorFit(0.5, 0.0, 1.0, 2.0)}, "").rows
        [['visual', '50 %', '0 %', 1.0, 2.0, '50 %']]
    """
    rows: list[list[Cell]] = [
        [
            name,
            f"{100 * fit.clamped_first:.0f} %",
            "" if fit.clamped_after is None else f"{100 * fit.clamped_after:.0f} %",
            fit.own,
            fit.refitted,
            f"{100 * fit.own / fit.refitted:.0f} %" if fit.refitted > 0 else "",
        ]
        for name, fit in fits.items()
    ]
    columns = ["modality", "clamped, first epoch", "clamped, after it"]
    return Table([*columns, "own bound", "refitted", "own of refitted"], rows, caption)
