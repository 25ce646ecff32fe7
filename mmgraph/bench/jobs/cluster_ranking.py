"""Rankings by a trained run on a Ray cluster, a share of the users at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.allocator import keep_freed_memory
from mmgraph.bench.records import RunInfo
from mmgraph.bench.run_directory import Run, finished_info, load_run
from mmgraph.bench.source import DataSource
from mmgraph.cluster import cluster_device, done_on_cluster, joined_cluster, places
from mmgraph.device import device_of
from mmgraph.distributed.world import World
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.train.evaluation import (
    Rank,
    Ranked,
    check_sizes,
    rank_items,
    users_per_block,
)

#: Shares of users for each place of a cluster: a slow machine gets fewer. Each computes
#: the embeddings of all, so there are not many.
_SHARES = 4
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class _Place:
    """Where a run lies on every machine, and which one it is."""

    folder: str
    data: str | None
    device: str
    threads: int
    identity: tuple[str, str | None]


@dataclass(frozen=True)
class _Ranking:
    """What a worker does with a share of the users."""

    place: _Place
    split: int
    k: int
    candidates: Tensor | None
    include_seen: bool

    def __call__(self, users: Tensor) -> list[Ranked]:
        run = _run_of(self.place)
        blocks = rank_items(
            run.model,
            run.splits[self.split],
            users,
            self.k,
            candidates=self.candidates,
            include_seen=self.include_seen,
        )
        return [(users.cpu(), item.cpu(), score.cpu()) for users, item, score in blocks]


@contextmanager
def ranking(
    folder: str | Path,
    split: str = "train",
    *,
    ray: str | None = None,
    gpus: float | None = None,
    data: str | None = None,
    device: str = "auto",
    threads: int = 0,
) -> Iterator[Rank]:
    """What ranks for a run directory's model: this process, or a cluster in the block.

    Every machine finds run and data under the same path. A worker ranks whole blocks of
    users, so that the lists are those of one process on such a machine with as many
    threads, to the last digit; those of a lost one are ranked again.

    Args:
        folder: The run directory.
        split: The split that is ranked: ``"train"``, ``"valid"`` or ``"test"``.
        ray: Address of a cluster, or ``"auto"``; None: this process.
        gpus: GPUs of a share, a part of one too (default: one, where this process would
            compute on one).
        data: The data set, if it has moved since.
        device: As the trainer takes it.
        threads: CPU threads of a share; 0: one core.

    Yields:
        A function like :func:`~mmgraph.train.evaluation.rank_items`, for this model.

    Raises:
        UserError: If the folder is no finished run, Ray is not installed or not there,
            or GPUs are asked for where this process has none; from the function, if a
            machine lacks the run, or has another one.

    Example:
        >>> with ranking("runs/freedom") as rank:
        ...     rank is rank_items
        True
    """
    if ray is None:
        yield rank_items
        return
    kind, num_gpus = cluster_device(device, gpus)
    place = _Place(
        str(Path(folder).resolve()),
        None if data is None else DataSource(data).location,
        kind,
        threads,
        _identity(finished_info(Path(folder))),
    )
    resources = {"num_cpus": max(1, threads), "num_gpus": num_gpus}
    with joined_cluster(ray) as joined:
        yield _ranker(joined, place, _SPLITS.index(split), resources)


def _ranker(ray: Any, place: _Place, split: int, resources: dict[str, float]) -> Rank:
    def rank(
        model: Recommender,
        data: HeteroData,
        users: Tensor,
        k: int,
        *,
        candidates: Tensor | None = None,
        include_seen: bool = False,
    ) -> Iterator[Ranked]:
        check_sizes(model, data)
        num_items = model.num_items if candidates is None else candidates.numel()
        block = users_per_block(model, num_items, min(k, num_items))
        count = min(_SHARES * places(ray, **resources), -(-len(users) // block))
        shares = [World(n, max(1, count)) for n in range(max(1, count))]
        done = done_on_cluster(
            ray,
            _Ranking(place, split, k, candidates, include_seen),
            (users[each.share(len(users), block)].clone() for each in shares),
            what="a share of the users",
            in_order=True,
            resources=resources,
        )
        device = device_of(model)
        for _, blocks in done:
            for each, item, score in blocks:
                yield each.to(device), item.to(device), score.to(device)

    return rank


def _identity(info: RunInfo) -> tuple[str, str | None]:
    known: dict[str, Any] = dict(info)
    return known["key"], known.get("weights_sha256")  # before 0.3 there is none


@lru_cache(maxsize=1)
def _run_of(place: _Place) -> Run:
    """The run on a machine, which a worker keeps for its next share."""
    keep_freed_memory()
    if place.threads:
        torch.set_num_threads(place.threads)
    try:
        run = load_run(place.folder, data=place.data, device=place.device)
    except UserError as error:
        what = f"{error.what} (on {socket.gethostname()})"
        raise UserError(what, error.fix, path=error.path, row=error.row) from error
    if _identity(run.info) != place.identity:
        raise UserError(
            f"{socket.gethostname()} has another run there",
            "copy the run to the same path on all machines",
            path=place.folder,
        )
    return run
