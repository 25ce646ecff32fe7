"""Training into a run directory, and use of the model in one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from mmgraph.bench.config import RunConfig
from mmgraph.bench.experiment import CUTOFFS, Splits, build_run, train
from mmgraph.bench.jobs.watch import OnUsers, Watch, unwatched
from mmgraph.bench.parallel import run_threads
from mmgraph.bench.records import RunInfo
from mmgraph.bench.run_directory import (
    CHECKPOINT,
    HISTORY,
    INFO,
    WEIGHTS,
    begin_run,
    finished_info,
    give_up_run,
    go_on_longer,
    has_finished,
    is_beginning,
    load_run,
    may_hold,
    run_inputs,
    save_run,
)
from mmgraph.bench.source import DataSource
from mmgraph.distributed.exchange import word_of_first
from mmgraph.distributed.world import world
from mmgraph.folders import (
    check_new_folder,
    check_output_file,
    check_output_folder,
)
from mmgraph.functional.recommend.metrics import mean_over_users
from mmgraph.lock import locked_folder
from mmgraph.schema import ITEM, USER, feature_key, mask_key, modalities
from mmgraph.shards import parse_shard
from mmgraph.train.evaluation import Rank, evaluate, rank_items
from mmgraph.train.measures import measure
from mmgraph.train.recommendations import (
    FIRST_SHARD,
    Choice,
    check_table_name,
    choose_users,
    chosen_items,
    recommend_chosen,
    write_shards,
    write_table,
)
from mmgraph.train.user_shards import audience_of_shard, block_of_shards, split_of_shard


class Written(NamedTuple):
    """Rows of a table of recommendations, and users in it."""

    rows: int
    users: int


def train_run(
    run: RunConfig,
    source: DataSource,
    folder: str | Path,
    *,
    seed: int = 999,
    device: str = "auto",
    test: bool = True,
    resume: bool = False,
    threads: int = 0,
    watch: Watch = unwatched,
    loaded: tuple[Splits, str] | None = None,
) -> RunInfo:
    """Train one system into a run directory.

    Nothing is written before the model is built and its options are checked. Of several
    processes of one training the first writes.

    Args:
        run: The system with all its options.
        source: The data.
        folder: The run directory.
        seed: Seeds the initialisation and the trainer.
        device: As the trainer takes it.
        test: False leaves the test split alone, as selection must.
        resume: Go on with an interrupted run, or with a finished one of fewer epochs;
            one that has finished is left as it is.
        threads: CPU threads; 0: as many as suit the data.
        watch: Shows progress.
        loaded: Result of ``source.load()``, where it was called already.

    Returns:
        What ``run.json`` says.

    Raises:
        UserError: If the data or an option do not suit the model, another run lies in
            the folder (or the same one, without ``resume``), another process trains
            there, or training diverges.

    Example:
        >>> import tempfile
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import parse_spec
        >>> run = run_config(parse_spec("MF-BPR"), {"embedding_dim": 4, "epochs": 1})
        >>> folder = tempfile.mkdtemp()
        >>> train_run(run, DataSource("synthetic"), folder)["epochs"]
        1
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['checkpoint', 'history.jsonl', 'model.safetensors', 'run.json']
    """
    folder, writes = Path(folder), world().is_first
    if writes:
        check_output_folder(folder, first=[INFO], others=[WEIGHTS, HISTORY, CHECKPOINT])
    if loaded is None:
        source, loaded = source.load_for(
            [run.spec.model],
            lambda sha256: (
                not writes
                or may_hold(folder, run.key(seed, sha256))
                or is_beginning(folder, run, seed, sha256)
            ),
        )
    splits, sha256 = loaded
    with run_threads(splits[0], device, threads), ExitStack() as stack:
        untrained = build_run(run, splits, seed=seed, device=device)
        going_on = False
        if writes:
            stack.enter_context(locked_folder(folder))
            if resume and is_beginning(folder, run, seed, sha256):
                go_on_longer(folder, run.key(seed, sha256))
            going_on = begin_run(folder, run.key(seed, sha256), resume=resume)
        if word_of_first(going_on and has_finished(folder, run.key(seed, sha256))):
            return _info_of_first(folder)
        try:
            with watch(run.label, seed, run.trainer["epochs"]) as on_epoch:
                trained = train(
                    untrained,
                    data=source.name,
                    data_sha256=sha256,
                    test=test,
                    on_epoch=on_epoch,
                    checkpoint_dir=folder / CHECKPOINT,
                    history_file=folder / HISTORY,
                    resume=going_on,
                )
        except BaseException:  # an interruption, too
            if writes:
                give_up_run(folder)
            raise
        if writes:
            save_run(folder, trained, source)
        return _info_of_first(folder)


def _info_of_first(folder: Path) -> RunInfo:
    """What ``run.json`` says, which the first process of a training can read."""
    info: RunInfo = word_of_first(finished_info(folder) if world().is_first else None)
    return info


def evaluate_run(
    folder: str | Path,
    split: Literal["valid", "test"] = "test",
    *,
    ks: Sequence[int] = CUTOFFS,
    data: str | None = None,
    device: str = "auto",
    per_user: str | Path | None = None,
    shard: str | None = None,
    rank: Rank = rank_items,
) -> dict[str, float]:
    """Ranking metrics of a run directory's model.

    Args:
        folder: The run directory.
        split: ``"valid"`` or ``"test"``.
        ks: Cut-offs.
        data: The data set, if it has moved since.
        device: Device to compute on, as the trainer takes it.
        per_user: A table to write, ``.csv`` or ``.parquet``: ``user_id`` (original) and
            each metric in float64, a row per user of the split in the order of their
            indices. Of several processes the first writes.
        shard: ``"i/n"`` for the i-th of n shares of these users alone, which follow
            each other: all tables, one after the other, are the table of all.
        rank: Ranks the items, in this process or on a cluster, as
            :func:`~mmgraph.bench.jobs.cluster_ranking.ranking` gives it.

    Raises:
        UserError: If the table has another ending or cannot be written, the shard has
            no users, or as :func:`~mmgraph.bench.run_directory.load_run` does.
    """
    share = None if shard is None else parse_shard(shard)
    out = None if per_user is None else Path(per_user)
    if out is not None and world().is_first:
        check_table_name(out)
        check_output_file(out, inputs=run_inputs(Path(folder), data))
    loaded = load_run(folder, data=data, device=device)
    _, valid, test = loaded.splits
    part = valid if split == "valid" else test
    if share is not None:
        part = split_of_shard(loaded.model, part, max(ks), share)
    if out is None:
        return evaluate(loaded.model, part, ks=ks, rank=rank)
    values = evaluate(loaded.model, part, ks=ks, per_user=True, rank=rank)
    users = np.asarray(part[USER].raw_id)[values.pop("user")]
    if world().is_first:
        write_table(pd.DataFrame({"user_id": users, **values}), out)
    return mean_over_users({name: torch.from_numpy(v) for name, v in values.items()})


def measure_run(
    folder: str | Path,
    split: Literal["valid", "test"] = "test",
    *,
    ks: Sequence[int] = CUTOFFS,
    measures: Sequence[str] = (),
    candidates: str = "all",
    data: str | None = None,
    device: str = "auto",
    rank: Rank = rank_items,
) -> dict[str, Any]:
    """:func:`evaluate_run` with measures of the lists beside their hits.

    Args:
        folder: The run directory.
        split: ``"valid"`` or ``"test"``.
        ks: Cut-offs.
        measures: See :func:`~mmgraph.train.measures.measure`.
        candidates: See there.
        data: The data set, if it has moved since.
        device: Device to compute on, as the trainer takes it.
        rank: As of :func:`evaluate_run`.

    Returns:
        ``metrics``, ``measures`` and ``groups``, see there.

    Raises:
        UserError: As :func:`~mmgraph.bench.run_directory.load_run` does.
    """
    loaded = load_run(folder, data=data, device=device)
    _, valid, test = loaded.splits
    part = valid if split == "valid" else test
    if "diversity" in measures and not modalities(part):
        part = _with_features(part, loaded.info, data)
    return measure(
        loaded.model, part, ks=ks, measures=measures, candidates=candidates, rank=rank
    )


def _with_features(part: HeteroData, info: RunInfo, data: str | None) -> HeteroData:
    """The same split with the features that the run's system does not read."""
    place = data or info["data_location"]
    (train, *_), _ = DataSource(place, info["split_rule"], info["split_seed"]).load()
    part = copy.copy(part)
    for name in modalities(train):
        for key in (feature_key(name), mask_key(name)):
            if key in train[ITEM]:
                part[ITEM][key] = train[ITEM][key]
    return part


def recommend_run(
    folder: str | Path,
    out: str | Path,
    *,
    users: str | None = None,
    k: int = 20,
    data: str | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """:func:`write_recommendations`, and what was written as one table.

    Returns:
        As :func:`~mmgraph.train.recommendations.recommend_table` gives it.
    """
    parts: list[pd.DataFrame] = []
    write_recommendations(
        folder, out, users=users, k=k, data=data, device=device, on_part=parts.append
    )
    return pd.concat(parts, ignore_index=True)


def write_recommendations(
    folder: str | Path,
    out: str | Path,
    *,
    users: str | None = None,
    k: int = 20,
    data: str | None = None,
    device: str = "auto",
    choice: Choice | None = None,
    shard_rows: int = 0,
    shard: str | None = None,
    on_users: OnUsers | None = None,
    on_part: Callable[[pd.DataFrame], None] | None = None,
    inputs: Iterable[Path] = (),
    rank: Rank = rank_items,
) -> Written:
    """Write the best items of users, by original ids, with a run directory's model.

    The table is written part by part, so that memory does not grow with the users.

    Args:
        folder: The run directory.
        out: The table, ``.csv`` or ``.parquet``; with shards, their folder.
        users: A file with one id per line, or ids with commas between; all without it.
        k: Items per user.
        data: The data set, if it has moved since.
        device: Device to compute on, as the trainer takes it.
        choice: Which items may come, and what unknown users get.
        shard_rows: Write several Parquet files, of about so many rows each.
        shard: ``"i/n"`` for the i-th of n shares of the users, which follow each other:
            all tables, one after the other, are the table of all users.
        on_users: Shows progress.
        on_part: Called with each part of the table.
        inputs: What else the caller has read, such as titles; it is not written over.
        rank: As of :func:`evaluate_run`, for the training split.

    Returns:
        How much was written.

    Raises:
        UserError: If the table has another ending or cannot be written, a user is
            unknown, the shard has no users, or as
            :func:`~mmgraph.bench.run_directory.load_run` does.
    """
    out, choice = Path(out), choice or Choice()
    share = None if shard is None else parse_shard(shard)
    if not shard_rows:
        check_table_name(out)
    lists = [Path(each) for each in (users, choice.allow, choice.deny) if each]
    inputs = [*inputs, *lists, *run_inputs(Path(folder), data)]
    if shard_rows:
        check_new_folder(out, replace=FIRST_SHARD, inputs=inputs)
    else:
        check_output_file(out, inputs=inputs)
    loaded = load_run(folder, data=data, device=device)
    train_split = loaded.splits[0]
    audience = choose_users(users, train_split, choice.unknown)
    if share is not None:
        items = chosen_items(train_split, choice)
        num_items = loaded.model.num_items if items is None else items.numel()
        block = block_of_shards(loaded.model, num_items, k)
        audience = audience_of_shard(audience, share, block)
    count = len(audience.users) + len(audience.strangers)
    done = None if on_users is None else on_users(count)
    chosen = recommend_chosen(
        loaded.model, train_split, audience, k, choice, on_users=done, rank=rank
    )
    written: list[Written] = []

    def parts() -> Iterator[pd.DataFrame]:
        for part in chosen:
            written.append(Written(len(part), part["user_id"].nunique()))
            if on_part is not None:
                on_part(part)
            yield part

    if shard_rows:
        write_shards(parts(), out, shard_rows)
    else:
        write_table(parts(), out)
    return Written(*map(sum, zip(*written, strict=True)))
