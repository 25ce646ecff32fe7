"""The options that one training run goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Options of the trainer whose default is the model's own.
MODELS_OWN = ("lr", "weight_decay", "lr_decay")


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a trainer for one model, with the model's own defaults filled in.

    Args:
        seed: Seed of shuffling, negatives, graph sampling and dropout.
        batch_size: Interactions per step.
        sampled_neighbors: Sampled neighbours of each hop; None for all.
        optimizer: ``"adam"`` or ``"sparse-adam"``.
        lr: Adam's learning rate.
        weight_decay: Adam's weight decay.
        lr_decay: Factor of the learning rate per 50 epochs.
        patience: Evaluations in a row without improvement that are borne.
        min_epochs: Epochs before which training never stops early.
        eval_every: Epochs between two evaluations.
        monitor: Validation metric that decides.
        ks: Cut-offs of the validation metrics.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> from mmgraph.train import Trainer
        >>> Trainer(patience=3).options_for(MFBPR(2, 3)).lr
        0.001
    """

    seed: int
    batch_size: int
    sampled_neighbors: tuple[int, ...] | None
    optimizer: str
    lr: float
    weight_decay: float
    lr_decay: float
    patience: int
    min_epochs: int
    eval_every: int
    monitor: str
    ks: tuple[int, ...]

    def identity(self) -> dict[str, Any]:
        """Options that must not change between the parts of one run."""
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "sampled_neighbors": self.sampled_neighbors,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "lr_decay": self.lr_decay,
            "monitor": self.monitor,
            "eval_every": self.eval_every,
        }
