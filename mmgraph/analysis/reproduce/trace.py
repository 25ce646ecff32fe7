"""The refreshes of CLEAR's projection, read from a training history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmgraph.functional.redundancy.refresh_measures import LEADING

_PREFIX = "measure/"


@dataclass
class Trace:
    """Measures of one modality's directions, refresh by refresh.

    Args:
        epoch: The epoch at whose start it was.
        rank: Directions in use.
        head_energy: Fraction of the squared singular values that they hold.
        effective_rank: Of the spectrum.
        affinity: To the directions of the refresh before, None at the first.
        singular_values: The first ones, before any projection.
    """

    epoch: list[int] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)
    head_energy: list[float] = field(default_factory=list)
    effective_rank: list[float] = field(default_factory=list)
    affinity: list[float | None] = field(default_factory=list)
    singular_values: list[list[float]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epoch)


@dataclass
class Undo:
    r"""Ratios by which training undid a soft projection, epoch by epoch.

    Args:
        epoch: The epoch at whose start both runs refreshed.
        ratio: By epoch, of each leading direction that is projected,
            :math:`(1-\lambda)^2 \sigma_i^{\lambda} / \sigma_i^{0}`; 1 means that the
            encoder has grown it by all that the projection takes away. None where
            :math:`\sigma_i^{0}` is 0.
    """

    epoch: list[int] = field(default_factory=list)
    ratio: list[list[float | None]] = field(default_factory=list)


def traces(rows: Sequence[Mapping[str, Any]]) -> dict[str, Trace]:
    """The refreshes in the rows of a history, by modality.

    Example:
        >>> measures = {"rank": 1, "head_energy": 0.8, "effective_rank": 1.5}
        >>> measures |= {"sigma_1": 2.0, "sigma_2": 1.0}
        >>> row = {f"measure/visual/{name}": v for name, v in measures.items()}
        >>> trace = traces([{"epoch": 1, **row}, {"epoch": 2}])["visual"]
        >>> trace.epoch, trace.rank, trace.singular_values, trace.affinity
        ([1], [1], [[2.0, 1.0]], [None])
    """
    by_modality: dict[str, Trace] = {}
    for row in rows:
        measures: dict[str, dict[str, Any]] = {}
        for key, value in row.items():
            if key.startswith(_PREFIX):
                modality, _, name = key.removeprefix(_PREFIX).rpartition("/")
                measures.setdefault(modality, {})[name] = value
        for modality, values in measures.items():
            if "rank" not in values:  # other measures than those of a refresh
                continue
            trace = by_modality.setdefault(modality, Trace())
            trace.epoch.append(row["epoch"])
            trace.rank.append(values["rank"])
            trace.head_energy.append(values["head_energy"])
            trace.effective_rank.append(values["effective_rank"])
            trace.affinity.append(values.get("affinity"))
            names = [f"sigma_{i}" for i in range(1, LEADING + 1)]
            trace.singular_values.append([values[n] for n in names if n in values])
    return by_modality


def undo_ratios(
    with_: Mapping[str, Trace],
    without: Mapping[str, Trace],
    strength: float,
    *,
    sides: str = "both",
) -> Undo:
    r"""The undo ratio after equally many epochs with and without the projection.

    Args:
        with_: Refreshes of a run with the projection.
        without: Refreshes of a run that differs from it in strength 0 alone.
        strength: :math:`\lambda` of the first.
        sides: The sides that it projects; one modality alone scales a singular value by
            :math:`1-\lambda` instead of its square.

    Returns:
        The ratios; none with three modalities or more, where the singular values of a
        refresh are relative to those of each pair and do not show growth.

    Example:
        >>> def run(*sigma):
        ...     return {"v": Trace([1], [1], [1.0], [1.0], [None], [list(sigma)])}
        >>> undo_ratios(run(8.0, 1.0), run(2.0, 1.0), 0.5).ratio
        [[1.0]]
    """
    undo = Undo()
    if len({*with_, *without}) > 2:
        return undo
    factor = (1 - strength) ** (2 if sides == "both" else 1)
    # Both modalities of a pair have one spectrum.
    one, other = (next(iter(t.values()), Trace()) for t in (with_, without))
    row_of = {epoch: n for n, epoch in enumerate(other.epoch)}
    for n, epoch in enumerate(one.epoch):
        if epoch in row_of:
            pairs = zip(
                one.singular_values[n][: one.rank[n]],
                other.singular_values[row_of[epoch]],
                strict=False,
            )
            undo.epoch.append(epoch)
            undo.ratio.append([factor * a / b if b else None for a, b in pairs])
    return undo
