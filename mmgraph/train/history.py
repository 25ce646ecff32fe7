"""The history of a training run, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class History:
    """One row per epoch: ``epoch``, ``seconds``, ``loss/<term>``, ``valid/<metric>``.

    A system's own measures are ``measure/<name>``: CLEAR, and its plug-in, log each
    refresh of the projection, see :func:`mmgraph.functional.refresh_measures`; SEA, and
    its plug-in, how well the estimator of each bound is fitted.

    Example:
        >>> history = History(rows=[{"epoch": 1, "seconds": 0.5, "loss/bpr": 0.69}])
        >>> history.epochs, history.seconds_per_epoch
        (1, 0.5)
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def epochs(self) -> int:
        """Epochs that were trained; epoch 0 is an evaluation without training."""
        return sum(row["epoch"] > 0 for row in self.rows)

    @property
    def best_valid(self) -> dict[str, float]:
        """Validation metrics of the best epoch."""
        for row in self.rows:
            if row["epoch"] == self.best_epoch:
                return {
                    key.removeprefix("valid/"): value
                    for key, value in row.items()
                    if key.startswith("valid/")
                }
        return {}

    @property
    def seconds_per_epoch(self) -> float:
        """Median seconds of training, the first epoch left out where there are more."""
        return self._median("seconds")

    @property
    def seconds_per_evaluation(self) -> float:
        """Median seconds of one evaluation on the validation split."""
        return self._median("seconds_evaluation")

    def _median(self, key: str) -> float:
        values = [row[key] for row in self.rows if key in row]
        values = values[1:] or values
        return median(values) if values else 0.0
