"""One loop for every system."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch_geometric.data import HeteroData

import mmgraph
from mmgraph.data.content_hash import fingerprint
from mmgraph.data.validation import check_splits
from mmgraph.device import check_device_name, resolve_device, to_device
from mmgraph.distributed.agreement import check_agreement
from mmgraph.distributed.exchange import word_of_first
from mmgraph.distributed.world import world
from mmgraph.errors import UserError, unknown_name
from mmgraph.functional.recommend.metrics import METRICS
from mmgraph.models.base import Recommender
from mmgraph.options import (
    CheckedOptions,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Range,
)
from mmgraph.schema import INTERACTS
from mmgraph.train.arguments import check_kinds, remember_features
from mmgraph.train.batches.batch_size import (
    MOST_STEPS,
    USUAL_BATCH_SIZE,
    automatic_batch_size,
    scaled_learning_rate,
)
from mmgraph.train.checkpoint import drop_checkpoints, has_checkpoint
from mmgraph.train.evaluation import CutOffs, check_sizes
from mmgraph.train.history import History
from mmgraph.train.history_file import FILE_NAME, HistoryFile
from mmgraph.train.loop import TrainingRun
from mmgraph.train.periodic_checkpoints import PeriodicCheckpoints
from mmgraph.train.sharding.column_tables import join_tables, split_tables
from mmgraph.train.training_options import MODELS_OWN, TrainingOptions

logger = logging.getLogger(__name__)

#: Steps of an epoch from which the log says that there could be fewer.
_MANY_STEPS = 1000
#: The epoch takes the lower half of torch's 64 bits.
Seed = Annotated[int, Range(0, 2**32 - 1)]
#: Neighbours that a node draws; -1 for all, as in PyG.
NeighborCount = Annotated[int, Range(-1)]


class Trainer(CheckedOptions):
    """Adam on shuffled training interactions, stopped early on the validation split.

    One epoch shows every training interaction once, each with one fresh negative.
    Randomness is a function of the seed and the epoch alone, so a resumed run goes on
    exactly as if it had never stopped.

    Args:
        epochs: Most epochs to train.
        patience: Evaluations in a row without improvement that are borne.
        batch_size: Interactions per step; the last batch of an epoch may be smaller.
            ``"auto"``: 2048, or a 64th of the interactions where that is more, and the
            learning rate times the root of the batch over 2048.
        sampled_neighbors: Train on as many sampled neighbours of each node per layer of
            the propagation, and not on the whole graph (-1: all). For systems that have
            a loss for that, LightGCN.
        optimizer: ``"adam"``, or ``"sparse-adam"``: in each step, embeddings of users
            and items that are not in the batch stay as they are, which is another
            optimiser. For systems that read no others in a step: MF-BPR, VBPR, and
            LightGCN with ``sampled_neighbors``.
        shard_embeddings: Several processes share the embeddings of users and items and
            their optimiser's state, each with some of the columns, and not all of them.
            For systems whose columns meet in scores alone: MF-BPR, LightGCN. The model
            ends whole, on the CPU.
        lr: Adam's learning rate (default: the model's own).
        weight_decay: Adam's weight decay (default: the model's own).
        lr_decay: Factor of the learning rate per 50 epochs (default: the model's own).
        seed: Seed of shuffling, negatives, graph sampling and dropout.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
        eval_every: Epochs between two evaluations.
        min_epochs: Epochs before which training never stops early.
        monitor: Validation metric that decides, from those of :func:`evaluate`.
        ks: Cut-offs of the validation metrics, all different.
        checkpoint_seconds: Least seconds between two checkpoints.

    Raises:
        UserError: If an option is unknown or out of range, or there is no such metric
            or kind of device.

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
        epochs: PositiveInt = 1000,
        patience: NonNegativeInt = 20,
        batch_size: PositiveInt | Literal["auto"] = USUAL_BATCH_SIZE,
        sampled_neighbors: tuple[NeighborCount, ...] | None = None,
        optimizer: Literal["adam", "sparse-adam"] = "adam",
        shard_embeddings: bool = False,
        lr: PositiveFloat | None = None,
        weight_decay: NonNegativeFloat | None = None,
        lr_decay: PositiveFraction | None = None,
        seed: Seed = 999,
        device: str | torch.device = "auto",
        eval_every: PositiveInt = 1,
        min_epochs: NonNegativeInt = 0,
        monitor: str = "recall@20",
        ks: CutOffs = (10, 20),
        checkpoint_seconds: NonNegativeFloat = 15.0,
    ) -> None:
        check_device_name(device)
        metrics = [f"{name}@{k}" for k in ks for name in METRICS]
        if monitor not in metrics:
            raise unknown_name("metric of validation", monitor, metrics)
        self.epochs, self.patience, self.batch_size = epochs, patience, batch_size
        self.sampled_neighbors = (
            None if sampled_neighbors is None else tuple(sampled_neighbors)
        )
        self.optimizer, self.shard_embeddings = optimizer, shard_embeddings
        self.lr, self.weight_decay, self.lr_decay = lr, weight_decay, lr_decay
        self.seed, self.device = seed, device
        self.eval_every, self.min_epochs = eval_every, min_epochs
        self.monitor, self.ks = monitor, tuple(ks)
        self.checkpoint_seconds = checkpoint_seconds

    def options_for(
        self, model: Recommender, num_interactions: int = 0
    ) -> TrainingOptions:
        """The options of a run with this model, its own filled in.

        Args:
            model: The model.
            num_interactions: Training interactions, by which an automatic batch goes.
        """
        names = [each.name for each in fields(TrainingOptions)]
        options = {name: getattr(self, name) for name in names}
        for name in MODELS_OWN:
            if options[name] is None:
                options[name] = getattr(model, name)
        if self.batch_size == "auto":
            size = automatic_batch_size(num_interactions)
            options |= {
                "batch_size": size,
                "lr": scaled_learning_rate(options["lr"], size),
            }
        return TrainingOptions(**options)

    def _log_batch_size(self, options: TrainingOptions, num_interactions: int) -> None:
        """Say what the automatic batch is, or that it would save many steps."""
        size, lr = options.batch_size, options.lr
        if self.batch_size == "auto":
            logger.info(
                "batch_size auto: %d interactions, learning rate %.3g", size, lr
            )
        elif num_interactions > _MANY_STEPS * size:
            steps = -(-num_interactions // size)
            logger.info(
                "%d steps per epoch; batch_size=auto would make %d of them",
                *(steps, MOST_STEPS),
            )

    def fit(
        self,
        model: Recommender,
        train: HeteroData,
        val: HeteroData | None,
        *,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
        checkpoint_dir: str | Path | None = None,
        history_file: str | Path | None = None,
        resume: bool = False,
        warm: bool = False,
    ) -> History:
        """Train in place; the model ends with the parameters of its best epoch.

        Without validation it trains all epochs, and ends with those of the last. A
        floor, which has nothing to train, is evaluated once.

        Args:
            model: A model; it is moved to the trainer's device.
            train: Training split.
            val: Validation split, or None.
            on_epoch: Called with each row of the history.
            checkpoint_dir: Folder for checkpoints between epochs, of which the last
                two are kept. Those of an earlier run go when this one starts.
            history_file: Gets each row of the history as a line of JSON; by default
                ``history.jsonl`` in the folder of the checkpoints, if there is one.
            resume: Go on from the checkpoint, if there is one; what the history has
                after it is cut off.
            warm: The parameters are those of an earlier training, which a pretraining
                would lose.

        Returns:
            The history.

        Raises:
            UserError: If an argument is no model or no split, a loss term is not finite
                (epoch, batch and term are named), a parameter is not in the end, the
                splits are not of one catalogue or share a pair, the checkpoint or the
                history belongs to another run, or that run has ended with an evaluation
                that one without a break would not have.
        """
        validation = {} if val is None else {"val": val}
        check_kinds(model, train=train, **validation)
        given, device = train, resolve_device(self.device)
        if self.shard_embeddings:
            split_tables(model)  # before it is on a device that may hold no more
        model.to(device)
        memo: dict[int, Any] = {}
        train = to_device(train, device, memo)
        if val is not None:
            val = to_device(val, device, memo)
        check_splits(train, **({} if val is None else {"valid": val}))
        check_sizes(model, train)
        remember_features(model, given)
        processes = world()
        if not processes.is_first:  # which writes for all
            checkpoint_dir = history_file = None
        folder = None if checkpoint_dir is None else Path(checkpoint_dir)
        if history_file is None and folder is not None:
            history_file = folder / FILE_NAME
        lines = None if history_file is None else HistoryFile(Path(history_file))
        parts = (train,) if val is None else (train, val)
        is_hashed = folder is not None or processes.size > 1
        data_sha256 = fingerprint(*parts) if is_hashed else ""
        train = model.add_graphs(train)
        val = None if val is None else model.add_graphs(val)
        num_interactions = train[INTERACTS].edge_index.size(1)
        options = self.options_for(model, num_interactions)
        self._log_batch_size(options, num_interactions)
        run = TrainingRun(options, model, train, device, data_sha256, lines)
        if processes.size > 1:
            check_agreement({"data": data_sha256, **self._limits(), **run.identity})
        goes_on = resume and folder is not None and has_checkpoint(folder)
        if word_of_first(goes_on):
            run.load(folder)
            self._check_schedule(run)
        else:
            if not warm:
                run.pretrain()
            if folder is not None:
                drop_checkpoints(folder)
        if val is None and model.trains:
            logger.info("no validation: all epochs are trained, the last is kept")
        if model.trains:
            self._train(run, val, folder, on_epoch)
        else:
            self._evaluate_only(run, val, on_epoch)
        history = run.finish()
        join_tables(model)
        return history

    def _limits(self) -> dict[str, Any]:
        """What may change between two parts of a run, but not between its processes."""
        names = ("epochs", "patience", "min_epochs", "ks", "shard_embeddings")
        limits = {name: getattr(self, name) for name in names}
        versions = {"mmgraph": mmgraph.__version__, "torch": torch.__version__}
        return versions | limits | {"ks": list(self.ks)}

    def _check_schedule(self, run: TrainingRun) -> None:
        """Refuse to go on after an evaluation that only the last epoch was due."""
        for row in run.history.rows:
            epoch, is_validated = row["epoch"], any(k.startswith("valid/") for k in row)
            if is_validated and not self._is_due(epoch):
                raise UserError(
                    f"the run ended with an evaluation after epoch {epoch}, which a "
                    f"longer one with eval_every={self.eval_every} does not have",
                    "train from the start, in another folder",
                )

    def _is_due(self, epoch: int) -> bool:
        return epoch % self.eval_every == 0 or epoch == self.epochs

    def _evaluate_only(
        self,
        run: TrainingRun,
        val: HeteroData | None,
        on_epoch: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Validate a system that has nothing to train, once, as epoch 0."""
        row: dict[str, Any] = {"epoch": 0}
        row |= {} if val is None else run.evaluate(val, 0)
        run.record(row)
        if on_epoch is not None:
            on_epoch(row)

    def _train(
        self,
        run: TrainingRun,
        val: HeteroData | None,
        folder: Path | None,
        on_epoch: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Go through the epochs that are left."""
        with PeriodicCheckpoints(run, folder, self.checkpoint_seconds) as checkpoints:
            for epoch in range(run.history.epochs + 1, self.epochs + 1):
                if run.stopping.should_stop(epoch - 1):
                    break
                row: dict[str, Any] = {"epoch": epoch}
                row |= run.train_epoch(epoch)
                if self._is_due(epoch) and val is not None:
                    row |= run.evaluate(val, epoch)
                run.record(row)
                checkpoints.finish_epoch()
                if on_epoch is not None:
                    on_epoch(row)
                done = epoch == self.epochs or run.stopping.should_stop(epoch)
                if done or checkpoints.is_due:
                    checkpoints.write()
