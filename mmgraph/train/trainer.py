"""One loop for every system."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.negative_sampling import NegativeSampler
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.schema import INTERACTS, ITEM
from mmgraph.train.checkpoint import (
    has_checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from mmgraph.train.device import place, resolve_device
from mmgraph.train.early_stopping import EarlyStopping
from mmgraph.train.evaluate import evaluate
from mmgraph.train.history import History


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
        weight_decay: Adam's weight decay.
        lr_decay: Factor of the step size per 50 epochs.
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
        weight_decay: float = 0.0,
        lr_decay: float = 1.0,
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
        train = model.prepare(place(train, device, memo))
        val = model.prepare(place(val, device, memo))
        run = _Run(self, model, train, device)
        folder = None if checkpoint_dir is None else Path(checkpoint_dir)
        if resume and folder is not None and has_checkpoint(folder):
            run.load(folder)
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


class _Run:
    """The state of one call of :meth:`Trainer.fit`."""

    def __init__(
        self,
        trainer: Trainer,
        model: Recommender,
        train: HeteroData,
        device: torch.device,
    ) -> None:
        self.trainer, self.model, self.train, self.device = (
            trainer,
            model,
            train,
            device,
        )
        self.lr = model.lr if trainer.lr is None else trainer.lr
        self.optimizer = torch.optim.Adam(
            model.main_parameters(),
            lr=self.lr,
            weight_decay=trainer.weight_decay,
            fused=True,
        )
        self.history = History()
        self.stopping = EarlyStopping(trainer.patience, trainer.min_epochs)
        self.best: dict[str, Tensor] = {}
        edge_index = train[INTERACTS].edge_index
        self.sampler = NegativeSampler(edge_index, train[ITEM].num_nodes)
        self.generator = torch.Generator(device)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        seed = (self.trainer.seed << 32) + epoch
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)  # dropout and other draws inside the model
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self.trainer.lr_decay ** ((epoch - 1) / 50)
        self.model.train()
        self.model.on_epoch_start(self.train, epoch, self.generator)
        steps: list[Tensor] = []
        names: list[str] = []
        for batch in self.batches():
            terms = self.model.training_loss(self.train, batch)
            self.optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            self.optimizer.step()
            names = list(terms)
            steps.append(torch.stack([term.detach() for term in terms.values()]))
        # Read once per epoch: a read per step would wait for the device each time.
        losses = torch.stack(steps).double().cpu()
        self._check_finite(losses, names, epoch)
        means = losses.mean(dim=0).tolist()
        row = {f"loss/{name}": mean for name, mean in zip(names, means, strict=True)}
        return row | {"seconds": time.perf_counter() - start}

    def batches(self) -> Iterator[Batch]:
        user, item = self.train[INTERACTS].edge_index
        order = torch.randperm(
            user.numel(), generator=self.generator, device=self.device
        )
        user, item = user[order], item[order]
        size = self.trainer.batch_size
        if not self.model.needs_negatives:
            for u, p in zip(user.split(size), item.split(size), strict=True):
                yield Batch(u, p)
            return
        negative = self.sampler.sample(user, self.generator)
        triples = zip(
            user.split(size), item.split(size), negative.split(size), strict=True
        )
        for u, p, n in triples:
            yield Batch(u, p, n)

    def _check_finite(self, losses: Tensor, names: list[str], epoch: int) -> None:
        bad = (~losses.isfinite()).nonzero()
        if bad.numel():
            step, term = bad[0].tolist()
            raise UserError(
                f"epoch {epoch}, batch {step + 1}: loss term {names[term]!r} is "
                f"{losses[step, term].item()}",
                "use a smaller learning rate or a larger weight of the penalty",
            )

    def evaluate(self, val: HeteroData, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        metrics = evaluate(self.model, val, ks=self.trainer.ks)
        seconds = time.perf_counter() - start
        if self.trainer.monitor not in metrics:
            raise UserError(
                f"unknown metric {self.trainer.monitor!r}",
                f"choose from {', '.join(metrics)}",
            )
        if self.stopping.update(epoch, metrics[self.trainer.monitor]):
            state = self.model.state_dict()
            self.best = {key: value.clone() for key, value in state.items()}
        row = {f"valid/{name}": value for name, value in metrics.items()}
        return row | {"seconds_evaluation": seconds}

    def finish(self) -> History:
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()
        self.history.best_epoch = self.stopping.best_epoch
        return self.history

    # Checkpoints ----------------------------------------------------------------

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"main": self.optimizer} | self.model.auxiliary_optimizers()

    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of one run."""
        trainer = self.trainer
        return {
            "model": repr(self.model),
            "seed": trainer.seed,
            "batch_size": trainer.batch_size,
            "lr": self.lr,
            "weight_decay": trainer.weight_decay,
            "lr_decay": trainer.lr_decay,
            "monitor": trainer.monitor,
            "eval_every": trainer.eval_every,
        }

    def save(self, folder: Path) -> None:
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        for name, optimizer in self.optimizers().items():
            state = optimizer_tensors(optimizer)
            tensors |= {f"optimizer/{name}/{k}": v for k, v in state.items()}
        stopping = self.stopping
        state_json = {
            "identity": self.identity(),
            "rows": self.history.rows,
            "best": stopping.best if stopping.best_epoch else None,
            "best_epoch": stopping.best_epoch,
            "bad": stopping.bad,
        }
        save_checkpoint(folder, tensors, state_json)

    def load(self, folder: Path) -> None:
        tensors, state = load_checkpoint(folder)
        for key, value in self.identity().items():
            if state["identity"].get(key) != value:
                raise UserError(
                    f"the checkpoint has {key} {state['identity'].get(key)!r}, "
                    f"this run {value!r}",
                    "use the same options, or start in another folder",
                    path=folder,
                )

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                key.removeprefix(prefix): value.to(self.device)
                for key, value in tensors.items()
                if key.startswith(prefix)
            }

        self.model.load_state_dict(part("model/"))
        self.best = part("best/")
        for name, optimizer in self.optimizers().items():
            restore_optimizer(optimizer, part(f"optimizer/{name}/"))
        self.history.rows = state["rows"]
        if state["best"] is not None:
            self.stopping.best = state["best"]
        self.stopping.best_epoch = state["best_epoch"]
        self.stopping.bad = state["bad"]
