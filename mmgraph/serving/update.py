"""A trained system for a catalogue that has grown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.bench.config import recorded_config
from mmgraph.bench.experiment import (
    TrainedRun,
    UntrainedRun,
    build_run,
    measured,
    train,
)
from mmgraph.bench.jobs.watch import Watch, unwatched
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
    load_run,
    may_hold,
    save_run,
)
from mmgraph.bench.source import DataSource
from mmgraph.errors import UserError
from mmgraph.folders import check_output_folder
from mmgraph.lock import locked_folder
from mmgraph.models.base import Recommender
from mmgraph.models.parts.growth import Places, carried_state
from mmgraph.schema import INTERACTS
from mmgraph.serving.newcomers import (
    check_features,
    check_takes,
    count_newcomers,
    places_of,
    warn_of_seen_pairs,
)
from mmgraph.train.history import History


def update_run(
    folder: str | Path,
    data: str,
    out: str | Path,
    *,
    epochs: int = 0,
    split: str | None = None,
    old_data: str | None = None,
    device: str = "auto",
    threads: int = 0,
    watch: Watch = unwatched,
) -> RunInfo:
    """Take a trained system over to new data, into a run directory of its own.

    Users and items are matched by their original ids: who is known keeps the trained
    rows, who is gone is left out. Without training, new items come in by their features
    and by an item graph that has them, new users and items with interactions by what
    their neighbours bring, as the system has it
    (:attr:`~mmgraph.models.base.Recommender.growth`). All graphs are those of the new
    data.

    Args:
        folder: The run directory; it is not changed.
        data: The new data.
        out: The run directory to make.
        epochs: Train so many epochs on the new data, from the trained rows. New rows
            start from where they would be without training, or at random where nothing
            is known of them; Adam starts anew. 0: no training.
        split: Rule of the split of the new data, by default that of the run.
        old_data: The data of the run, if they have moved since.
        device: Device to compute on, as the trainer takes it.
        threads: CPU threads; 0: as many as suit the data.
        watch: Shows progress.

    Returns:
        What ``run.json`` of the new run says; ``updated_from`` counts who is new.

    Raises:
        UserError: If the new data lack a modality or have it in another dimension, the
            system cannot take somebody without training, the folder is in use, or as
            :func:`~mmgraph.bench.run_directory.load_run` does.
    """
    out = Path(out)
    check_output_folder(out, first=[INFO], others=[WEIGHTS, HISTORY, CHECKPOINT])
    if not may_hold(out, ""):
        raise UserError("there is a run already", "choose another --out", path=out)
    old = load_run(folder, data=old_data)
    source = DataSource(data, split or old.info["split_rule"], old.info["split_seed"])
    source, (splits, sha256) = source.load_for([old.info["model"]], lambda sha256: True)
    check_features(old.splits[0], splits[0], old.info["model"])
    places = places_of(old.splits[0], splits[0])
    about = count_newcomers(old.splits[0], splits[0], places)
    if not epochs:
        check_takes(old.model, about)
    warn_of_seen_pairs(old.splits[0], splits, places)
    run = recorded_config(old.info)
    if epochs:
        run = replace(run, trainer=run.trainer | {"epochs": epochs})
    with run_threads(splits[0], device, threads), ExitStack() as stack:
        built = build_run(run, splits, seed=old.info["seed"], device=device)
        take_over(old.model, built.model, splits[0], places, trains=epochs > 0)
        key = _key(run.key(built.seed, sha256), old.info, epochs)
        stack.enter_context(locked_folder(out))
        begin_run(out, key, resume=False)
        try:
            if epochs:
                updated = _train_on(built, source, sha256, watch)
            else:
                updated = _as_it_is(built, source, sha256)
        except BaseException:  # an interruption, too
            give_up_run(out)
            raise
        origin = {"key": old.info["key"], "data_sha256": old.info["data_sha256"]}
        line: Any = {**updated.line, "key": key, "updated_from": origin | about}
        save_run(out, TrainedRun(line, updated.model, updated.history, None), source)
        return finished_info(out)


def _train_on(
    built: UntrainedRun, source: DataSource, sha256: str, watch: Watch
) -> TrainedRun:
    label, epochs = built.run.label, built.run.trainer["epochs"]
    with watch(label, built.seed, epochs) as on_epoch:
        return train(
            built,
            data=source.name,
            data_sha256=sha256,
            on_epoch=on_epoch,
            warm=True,
        )


def _as_it_is(built: UntrainedRun, source: DataSource, sha256: str) -> TrainedRun:
    built.model.to(built.splits[0][INTERACTS].edge_index.device)
    updated = measured(built, History([{"epoch": 0}]), source.name, sha256)
    valid = updated.line["metrics"].get("valid", {})
    updated.history.rows[0] |= {f"valid/{name}": value for name, value in valid.items()}
    return updated


@torch.no_grad()
def take_over(
    trained: Recommender,
    model: Recommender,
    train: HeteroData,
    places: Places,
    *,
    trains: bool = False,
) -> None:
    """Give a model what was trained for an earlier catalogue.

    Args:
        trained: The trained model, on the CPU.
        model: The same system with the same options, initialised for the later
            catalogue; changed in place.
        train: The training split of the later catalogue, on any device.
        places: Who stood where.
        trains: Rows of which nothing is known stay as they were initialised, for a
            training; otherwise they are zeros.
    """
    growth, before = model.growth, trained.state_dict()
    model.keep_feature_scale(trained, train)
    fresh = {name: tensor.cpu().clone() for name, tensor in model.state_dict().items()}
    folds = bool(growth.takes)
    state = carried_state(growth, before, fresh, places, blank=folds or not trains)
    model.load_state_dict(state)
    where = train[INTERACTS].edge_index.device
    data = model.eval().to(where).add_graphs(train)
    if folds:
        users, items = (rows.to(where) < 0 for rows in (places.users, places.items))
        model.fold_in(data, users, items)
    if trains:
        _start_blank_rows(model, fresh)


def _start_blank_rows(model: Recommender, fresh: Mapping[str, Tensor]) -> None:
    """Put initialised rows where there are zeros, from which some could not leave."""
    for name, tensor in model.state_dict().items():
        if model.growth.kind(name) in ("users", "items", "nodes"):
            blank = tensor.flatten(1).eq(0).all(dim=1)
            tensor[blank] = fresh[name].to(tensor.device)[blank]


def _key(key: str, old: RunInfo, epochs: int) -> str:
    """Digest of an updated run; that of a training would say that it was trained."""
    parts = f"{key} updated from {old['key']} epochs {epochs}"
    return hashlib.sha256(parts.encode()).hexdigest()
