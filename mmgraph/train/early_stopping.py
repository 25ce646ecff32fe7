"""Early stopping, and the best epoch."""

from __future__ import annotations

from mmgraph.options import CheckedOptions, NonNegativeInt


class EarlyStopping(CheckedOptions):
    """Counts evaluations in a row that did not improve.

    The value is used as it is, never rounded; only a strictly larger one improves.

    Args:
        patience: Training stops when the count exceeds it.
        min_epochs: Training never stops before this epoch (graph models can rest on a
            plateau for a while before they take off).

    Raises:
        ValueError: If ``patience`` or ``min_epochs`` is below 0.

    Example:
        >>> stopping = EarlyStopping(patience=1)
        >>> [stopping.update(epoch, v) for epoch, v in enumerate([0.1, 0.3, 0.2], 1)]
        [True, True, False]
        >>> stopping.best_epoch, stopping.should_stop(3), stopping.should_stop(4)
        (2, False, False)
    """

    def __init__(
        self, patience: NonNegativeInt, min_epochs: NonNegativeInt = 0
    ) -> None:
        self.patience, self.min_epochs = patience, min_epochs
        self.best, self.best_epoch, self.bad = float("-inf"), 0, 0

    def update(self, epoch: int, value: float) -> bool:
        """Count an evaluation; True if its epoch is the best so far."""
        improved = value > self.best
        if improved:
            self.best, self.best_epoch, self.bad = value, epoch, 0
        else:
            self.bad += 1
        return improved

    def should_stop(self, epoch: int) -> bool:
        """True if the count exceeds the patience."""
        return self.bad > self.patience and epoch >= self.min_epochs
