"""What the history tells of SEA's bounds of mutual information."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.nn.losses.separate_learning import Halves, SeparateLearningLoss


class BoundMeasures:
    """How well the estimator of SEA's bounds is fitted, epoch by epoch.

    Args:
        separate: The losses.

    Example:
        >>> separate = SeparateLearningLoss({"visual": 4}, mim_proj="none")
        >>> measures = BoundMeasures(separate)
        >>> z = {"visual": torch.randn(9, 4)}
        >>> for _ in range(2):
        ...     _ = separate(z, fit=True)
        ...     measures.keep()
        >>> list(measures.of_epoch())
        ['visual/clamped', 'visual/bound']
    """

    def __init__(self, separate: SeparateLearningLoss) -> None:
        self._separate = separate
        self._kept: list[dict[str, Tensor]] = []

    def start_epoch(self) -> None:
        """Forget the batches so far."""
        self._kept.clear()

    def keep(self) -> None:
        """Keep the bounds of a batch, whose loss was just made."""
        if self._separate.bounds:
            self._kept.append(dict(self._separate.bounds))

    def of_epoch(self) -> dict[str, float]:
        """By modality the ratio of batches with a bound below 0, and the mean bound.

        ``clamped`` are those below 0, which have no gradient; ``bound`` is in nats and
        not cut off. Empty where the loss has no bound.
        """
        if not self._kept:
            return {}
        names = list(self._kept[0])
        # Read once per epoch: a read per batch would wait for the device each time.
        rows = torch.stack([torch.stack(list(row.values())) for row in self._kept])
        bounds = rows.double().cpu()
        measures = {}
        for m, column in zip(names, bounds.T, strict=True):
            measures[f"{m}/clamped"] = float((column < 0).double().mean())
            measures[f"{m}/bound"] = float(column.mean())
        return measures

    def at_evaluation(self, pairs: Halves) -> dict[str, float]:
        """By modality the bound over all items, and that of an estimator fitted anew.

        Args:
            pairs: Generic and unique half of all items, as
                :meth:`SeparateLearningLoss.distance_inputs` gives them.
        """
        measures: dict[str, float] = {}
        for name, bounds in (
            ("bound_own", self._separate.own_bounds(pairs)),
            ("bound_refitted", self._separate.refitted_bounds(pairs)),
        ):
            measures |= {f"{m}/{name}": float(bound) for m, bound in bounds.items()}
        return measures
