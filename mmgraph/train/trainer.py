"""One loop for every system."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from mmgraph.device import place, resolve_device
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.train.checkpoint import has_checkpoint
from mmgraph.train.history import History
from mmgraph.train.loop import TrainingRun


class Trainer:
    """Adam on shuffled training interactions, stopped early on the validation split.

    One epoch shows every training interaction once, each with one fresh negative.
    Randomness is a function of the seed and the epoch alone, so a resumed run goes on
    exactly as if it had never stopped.

    Args:
        epochs: Most epochs to train.
        patience: Evaluations in a row without improvement that are borne.
        batch_size: Interactions per step; the last batch of an epoch may be smaller.
        lr: Adam's step size (default: the model's own).
        weight_decay: Adam's weight decay (default: the model's own).
        lr_decay: Factor of the step size per 50 epochs (default: the model's own).
        seed: Seed of shuffling, negatives, graph sampling and dropout.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
        eval_every: Epochs between two evaluations.
        min_epochs: Epochs before which training never stops early.
        monitor: Validation metric that decides, from those of :func:`evaluate`.
        ks: Cut-offs of the validation metrics.
        checkpoint_seconds: Least seconds between two checkpoints.

    Raises:
        UserError: If an option is out of range.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, valid, test = load_dataset("synthetic")
        >>> model = build_model("MF-BPR", train)
        >>> history = Trainer(epochs=2, device="cpu").fit(model, train, valid)
        >>> history.epochs
        2
    """

    def __init__(
        self,
        *,
        epochs: int = 1000,
        patience: int = 20,
        batch_size: int = 2048,
        lr: float | None = None,
        weight_decay: float | None = None,
        lr_decay: float | None = None,
        seed: int = 999,
        device: str = "auto",
        eval_every: int = 1,
        min_epochs: int = 0,
        monitor: str = "recall@20",
        ks: tuple[int, ...] = (10, 20),
        checkpoint_seconds: float = 15.0,
    ) -> None:
        for name, value in (
            ("epochs", epochs),
            ("batch_size", batch_size),
            ("eval_every", eval_every),
        ):
            if value < 1:
                raise UserError(f"{name} must be at least 1 (got {value})", "raise it")
        if lr is not None and not lr > 0:
            raise UserError(f"lr must be positive (got {lr})", "try 1e-3")
        if weight_decay is not None and weight_decay < 0:
            raise UserError(
                f"weight_decay must not be negative (got {weight_decay})", "try 0"
            )
        if lr_decay is not None and not lr_decay > 0:
            raise UserError(
                f"lr_decay must be positive (got {lr_decay})", "1 keeps lr as it is"
            )
        if patience < 0:
            raise UserError(f"patience must not be negative (got {patience})", "try 20")
        cutoff = monitor.rpartition("@")[2]
        if not cutoff.isdigit() or int(cutoff) not in ks:
            raise UserError(
                f"monitor {monitor!r} is not evaluated",
                f"choose a metric at one of {', '.join(map(str, ks))}",
            )
        self.epochs, self.patience, self.batch_size = epochs, patience, batch_size
        self.lr, self.weight_decay, self.lr_decay = lr, weight_decay, lr_decay
        self.seed, self.device = seed, device
        self.eval_every, self.min_epochs = eval_every, min_epochs
        self.monitor, self.ks = monitor, tuple(ks)
        self.checkpoint_seconds = checkpoint_seconds

    def fit(
        self,
        model: Recommender,
        train: HeteroData,
        val: HeteroData,
        *,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
    ) -> History:
        """Train in place; the model ends with the parameters of its best epoch.

        Args:
            model: A model; it is moved to the trainer's device.
            train: Training split.
            val: Validation split.
            on_epoch: Called with each row of the history.
            checkpoint_dir: Folder for checkpoints between epochs.
            resume: Go on from the checkpoint, if there is one.

        Returns:
            The history.

        Raises:
            UserError: If a loss term is not finite (epoch, batch and term are named),
                or the checkpoint belongs to another run.
        """
        device = resolve_device(self.device)
        model.to(device)
        memo: dict[int, Any] = {}
        train = model.add_graphs(place(train, device, memo))
        val = model.add_graphs(place(val, device, memo))
        run = TrainingRun(self, model, train, device)
        folder = None if checkpoint_dir is None else Path(checkpoint_dir)
        if resume and folder is not None and has_checkpoint(folder):
            run.load(folder)
        else:
            run.pretrain()
        saved_at = time.monotonic()
        for epoch in range(run.history.epochs + 1, self.epochs + 1):
            if run.stopping.should_stop(epoch - 1):
                break
            row: dict[str, Any] = {"epoch": epoch}
            row |= run.train_epoch(epoch)
            if epoch % self.eval_every == 0 or epoch == self.epochs:
                row |= run.evaluate(val, epoch)
            run.history.rows.append(row)
            if on_epoch is not None:
                on_epoch(row)
            done = epoch == self.epochs or run.stopping.should_stop(epoch)
            due = time.monotonic() - saved_at >= self.checkpoint_seconds
            if folder is not None and (due or done):
                run.save(folder)
                saved_at = time.monotonic()
        return run.finish()
