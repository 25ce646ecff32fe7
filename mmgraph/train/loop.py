"""The state of one training run."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.distributed.exchange import (
    sum_gradients,
    sum_over_processes,
    take_from_first,
    word_of_first,
)
from mmgraph.distributed.world import world
from mmgraph.errors import UserError
from mmgraph.functional.recommend.negative_sampling import NegativeSampler
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.batches.batch_sampler import batch_sampler
from mmgraph.train.batches.batch_share import batch_share, weighted_terms
from mmgraph.train.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from mmgraph.train.early_stopping import EarlyStopping
from mmgraph.train.epoch_seed import epoch_seeds
from mmgraph.train.evaluation import split_metrics
from mmgraph.train.history import History
from mmgraph.train.history_file import HistoryFile
from mmgraph.train.run_identity import run_identity, surroundings
from mmgraph.train.sharding.column_batch import ColumnBatch
from mmgraph.train.sharding.column_tables import (
    column_tables,
    shared_dim,
    shared_weights,
)
from mmgraph.train.sharding.shared_state import (
    shared_keys,
    state_of_first,
    whole_state,
)
from mmgraph.train.sparse_adam import dense_groups, row_wise_optimizer
from mmgraph.train.training_options import TrainingOptions

logger = logging.getLogger(__name__)


class TrainingRun:
    """Steps, evaluates, and saves and restores its state between two epochs.

    Args:
        options: Its options.
        model: The model, on the device.
        train: Training split with the model's graphs, on the device.
        device: Device of the computation.
        data_sha256: Content hash of the data, for checkpoints.
        history_file: Gets the row of each epoch; checkpoints need it.
    """

    def __init__(
        self,
        options: TrainingOptions,
        model: Recommender,
        train: HeteroData,
        device: torch.device,
        data_sha256: str = "",
        history_file: HistoryFile | None = None,
    ) -> None:
        self.options, self.model = options, model
        self._data_sha256, self._saved = data_sha256, False
        self._history_file = history_file
        self.train, self.device, self.world = train, device, world()
        self._dim = shared_dim(model)
        self._sampler = batch_sampler(model, train, options.sampled_neighbors)
        self.row_optimizer = row_wise_optimizer(model, options)
        self.optimizer = torch.optim.Adam(
            dense_groups(model, self.row_optimizer),
            lr=options.lr,
            weight_decay=options.weight_decay,
            decoupled_weight_decay=model.decoupled_weight_decay,
            fused=True,
        )
        for auxiliary in model.all_auxiliary_optimizers().values():
            auxiliary.state.clear()  # moments of an earlier training of this object
        self.history = History()
        self.stopping = EarlyStopping(options.patience, options.min_epochs)
        self.best: dict[str, Tensor] = {}
        edge_index = train[INTERACTS].edge_index
        self.sampler = NegativeSampler(
            edge_index, train[ITEM].num_nodes, train[USER].get("raw_id")
        )
        self.generator = torch.Generator(device)

    def _seed(self, epoch: int) -> None:
        own, of_model = epoch_seeds(self.options.seed, epoch)
        self.generator.manual_seed(own)
        torch.manual_seed(of_model)  # dropout and other draws inside the model

    def pretrain(self) -> None:
        """Let the model do what comes before its first epoch."""
        self._seed(0)
        self.model.train()
        self.model.pretrain(self.train, self.generator)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; its mean loss terms, the model's measures, and seconds."""
        start = time.perf_counter()
        self._seed(epoch)
        for optimizer in self._main_optimizers().values():
            for group in optimizer.param_groups:
                ratio = group.get("lr_ratio", 1.0)
                decay = self.options.lr_decay ** ((epoch - 1) / 50)
                group["lr"] = self.options.lr * ratio * decay
        self._take_parameters()
        self.model.train()
        self.model.start_epoch(self.train, epoch, self.generator)
        steps: list[Tensor] = []
        names: list[str] = []
        for batch in self.batches():
            terms = self.step(batch)
            names = list(terms)
            steps.append(torch.stack([term.detach() for term in terms.values()]))
        # Read once per epoch: a read per step would wait for the device each time.
        losses = sum_over_processes(torch.stack(steps).double()).cpu()
        self._check_finite(losses, names, epoch)
        means = losses.mean(dim=0).tolist()
        row = {f"loss/{name}": mean for name, mean in zip(names, means, strict=True)}
        measures = self.model.all_epoch_measures(epoch)
        row |= {f"measure/{name}": value for name, value in measures.items()}
        return row | {"seconds": time.perf_counter() - start}

    def _take_parameters(self) -> None:
        """Machines of other kinds round in other ways: none drifts from the first."""
        if self.world.size > 1:
            state = self.model.state_dict()
            own = {f"{name}.weight" for name in column_tables(self.model)}
            take_from_first({k: v for k, v in state.items() if k not in own})

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Train on one batch; its loss terms, which add up over the processes."""
        sampler = self._sampler
        graph = None if sampler is None else sampler.sample(batch, self.generator)
        if self._dim is not None:
            batch = ColumnBatch(batch, self._dim)
        batch = batch_share(batch, self.world)
        terms = self.model.training_loss(self.train, batch, graph)
        terms = weighted_terms(terms, batch, self.model.summed_terms())
        for optimizer in self._main_optimizers().values():
            optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        own = shared_weights(self.model)  # whose gradients are sums already
        sum_gradients(p for p in self._main_parameters() if p not in own)
        for optimizer in self._main_optimizers().values():
            optimizer.step()
            optimizer.zero_grad()  # so that they take no memory until the next backward
        return terms

    def batches(self) -> Iterator[Batch]:
        """The training interactions once, shuffled, each with a negative."""
        user, item = self.train[INTERACTS].edge_index
        order = torch.randperm(
            user.numel(), generator=self.generator, device=self.device
        )
        user, item = user[order], item[order]
        size = self.options.batch_size
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
        """Validate, and keep the parameters if they are the best so far."""
        start = time.perf_counter()
        metrics = split_metrics(self.model, val, ks=self.options.ks)
        seconds = time.perf_counter() - start
        if self.stopping.update(epoch, metrics[self.options.monitor]):
            state = self.model.state_dict()
            self.best = {key: value.clone() for key, value in state.items()}
        row = {f"valid/{name}": value for name, value in metrics.items()}
        measures = self.model.all_evaluation_measures(self.train)
        row |= {f"measure/{name}": value for name, value in measures.items()}
        return row | {"seconds_evaluation": seconds}

    def record(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch to the history."""
        # Each epoch makes its keys anew: kept once, not once an epoch.
        row = {sys.intern(key): value for key, value in row.items()}
        if self._history_file is not None:
            self._history_file.append(row)
        self.history.rows.append(row)

    def finish(self) -> History:
        """Put the best parameters back.

        Raises:
            UserError: If one of them is not finite.
        """
        if self.best:
            self.model.load_state_dict(self.best)
        self._take_parameters()
        for name, parameter in self.model.named_parameters():
            if not bool(parameter.isfinite().all()):
                raise UserError(
                    f"training ended with a {name} that is not finite",
                    "use a smaller learning rate or a larger weight of the penalty",
                )
        self.model.eval()
        was_validated = self.stopping.best > float("-inf")
        self.history.best_epoch = (
            self.stopping.best_epoch if was_validated else self.history.epochs
        )
        return self.history

    # Checkpoints ----------------------------------------------------------------

    def _main_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        if self.row_optimizer is None:
            return {"main": self.optimizer}
        return {"main": self.optimizer, "rows": self.row_optimizer}

    def _main_parameters(self) -> Iterator[nn.Parameter]:
        for optimizer in self._main_optimizers().values():
            for group in optimizer.param_groups:
                yield from group["params"]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """All optimisers by name."""
        return self._main_optimizers() | self.model.all_auxiliary_optimizers()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with this run."""
        return run_identity(self.model, self.options, self._data_sha256)

    @property
    def is_shared(self) -> bool:
        """True if this process has some columns of the embeddings and not all."""
        return self._dim is not None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of all tensors that training changes, and what else it goes on from.

        The best parameters are copies already, which are replaced and never changed.
        Shared embeddings are put together in the first process: all must call it.
        """
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        for name, optimizer in self.optimizers().items():
            state = optimizer_tensors(optimizer)
            tensors |= {f"optimizer/{name}/{k}": v for k, v in state.items()}
        shared = shared_keys(self.model, self._main_optimizers())
        tensors = {
            key: value.detach() if key in shared else value.detach().clone()
            for key, value in tensors.items()
        }
        tensors |= {f"best/{k}": v for k, v in self.best.items()}
        tensors = whole_state(self.model, tensors, shared)
        stopping = self.stopping
        return tensors, {
            "identity": self.identity,
            "surroundings": surroundings(self.device),
            "history": self._history_file and self._history_file.extent(),
            "best": stopping.best if stopping.best_epoch else None,
            "best_epoch": stopping.best_epoch,
            "bad": stopping.bad,
        }

    def save(
        self, folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]
    ) -> None:
        """Write a checkpoint of what :meth:`state` gave; that before it is kept."""
        if self._history_file is not None:
            self._history_file.sync()
        save_checkpoint(folder, tensors, state, keep_previous=self._saved)
        self._saved = True

    def load(self, folder: Path | None) -> None:
        """Continue from a checkpoint of the same run.

        Args:
            folder: Where it is; not read by other processes than the first, which get
                what that one has read.

        Raises:
            UserError: If it is damaged, or of another run.
        """
        tensors: dict[str, Tensor] = {}
        state: dict[str, Any] = {}
        if folder is not None:
            tensors, state = self._load(folder)
        if self.world.size > 1:
            self._take_from_first(tensors, state)

    def _take_from_first(self, tensors: dict[str, Tensor], state: Any) -> None:
        """Be where the first process is, which has read a checkpoint."""
        names = [[key, str(x.dtype)[6:], *x.shape] for key, x in tensors.items()]
        state, rows, names = word_of_first([state, self.history.rows, names])
        shared = shared_keys(self.model, self._main_optimizers())
        taken = state_of_first(self.model, tensors, names, shared, self.device)
        if self.is_shared or not self.world.is_first:
            self._restore(taken, state)
            self.history.rows = rows

    def _load(self, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, state = load_checkpoint(folder)
        try:
            self._check_identity(state["identity"], folder)
            if not self.is_shared:
                self._restore(tensors, state)
            self._restore_history(state, folder)
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"the checkpoint is not one of this run ({reason})",
                f"delete {folder} and start again",
                path=folder,
            ) from error
        for name, value in surroundings(self.device).items():
            before = state.get("surroundings", {}).get(name, value)
            if before != value:
                logger.warning(
                    "the checkpoint is of %s %s, this is %s: the result may not be "
                    "that of a run without a break",
                    *(name, before, value),
                )
        self._saved = True
        return tensors, state

    def _check_identity(self, identity: dict[str, Any], folder: Path) -> None:
        for key, value in self.identity.items():
            # Checkpoints of before version 0.3 do not say everything.
            if key in identity and identity[key] != value:
                raise UserError(
                    f"the checkpoint has {key} {identity[key]!r}, this run {value!r}",
                    "use the same options, or start in another folder",
                    path=folder,
                )

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
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
        if state["best"] is not None:
            self.stopping.best = state["best"]
        self.stopping.best_epoch = state["best_epoch"]
        self.stopping.bad = state["bad"]

    def _restore_history(self, state: dict[str, Any], folder: Path) -> None:
        assert self._history_file is not None
        if "rows" in state:
            self.history.rows = state["rows"]
            self._history_file.replace(state["rows"])
        else:
            self.history.rows = self._history_file.cut(
                state["history"], fix=f"delete {folder} and start again"
            )
