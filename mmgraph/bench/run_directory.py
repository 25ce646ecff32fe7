"""A trained system on disk.

======================  ===========================================================
``run.json``            options, seed, SHA-256 of the data, versions, metrics
``history.jsonl``       one line per epoch
``model.safetensors``   the weights of the best epoch
``checkpoint/``         what the trainer needs to go on after an interruption
======================  ===========================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mmgraph.bench.config import RunConfig
from mmgraph.bench.experiment import Splits, TrainedRun
from mmgraph.bench.records import RunInfo, fault_of_epoch
from mmgraph.bench.source import DataSource
from mmgraph.checksum import (
    CHECKSUM,
    PLACEHOLDER,
    add_checksum,
    file_digest,
    file_has_checksum,
)
from mmgraph.device import resolve_device, to_device
from mmgraph.errors import UserError
from mmgraph.files import (
    clear_temporary,
    read_json,
    read_json_lines,
    to_json_lines,
    write_atomic,
    write_json,
)
from mmgraph.folders import data_files
from mmgraph.models import build_model
from mmgraph.models.base import Recommender
from mmgraph.models.registry import resolve_model
from mmgraph.options import fits
from mmgraph.train.checkpoint import drop_previous, has_checkpoint

INFO, HISTORY, WEIGHTS, CHECKPOINT = (
    "run.json",
    "history.jsonl",
    "model.safetensors",
    "checkpoint",
)
_AGAIN = "train the run again in another folder"
#: What a finished run says of one with more epochs that is to take its place.
_LONGER = "longer_key"
#: Keys of a finished run that are read again.
_READ = (
    *("spec", "model", "plugin", "fidelity", "options", "trainer", "seed"),
    *("data_sha256", "data_location", "split_rule", "split_seed"),
    *("metrics", "best_epoch", "epochs"),
)


@dataclass
class Run:
    """A trained model, the data it was trained on, and what ``run.json`` says."""

    model: Recommender
    splits: Splits
    info: RunInfo


def begin_run(folder: Path, key: str, *, resume: bool) -> bool:
    """Claim a run directory, or find the run that is to go on.

    A run that left neither weights nor a checkpoint, such as one that failed, is not
    in the way of another.

    Args:
        folder: The run directory.
        key: Digest of the run's options, seed and data.
        resume: Continue an earlier, equal run.

    Returns:
        True if there is a run to continue.

    Raises:
        UserError: If another run lies there, or the same one without ``resume``.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> begin_run(folder, "k", resume=False)
        False
        >>> write_atomic(folder / WEIGHTS, "as if trained")
        >>> begin_run(folder, "k", resume=True)
        True
    """
    if not (folder / INFO).exists() or _is_bare(folder):
        _clear_leftovers(folder)
        write_json(folder / INFO, {"status": "running", "key": key})
        return False
    if not _is_of(read_info(folder), key):
        raise UserError(
            "the run there has other options, another seed or other data, or is of a "
            "version before 0.8",
            "repeat its command exactly, with --resume, or choose another --out",
            path=folder,
        )
    if not resume:
        raise UserError(
            "there is a run already",
            "continue it with --resume, or choose another --out",
            path=folder,
        )
    _clear_leftovers(folder)
    return True


def may_hold(folder: Path, key: str) -> bool:
    """False if another run lies in a folder.

    Example:
        >>> may_hold(Path("nowhere"), "k")
        True
    """
    if not (folder / INFO).exists() or _is_bare(folder):
        return True
    return _is_of(read_info(folder), key)


def has_finished(folder: Path, key: str) -> bool:
    """True if the run in a folder is this one, and complete.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> begin_run(folder, "k", resume=False), has_finished(folder, "k")
        (False, False)
    """
    info = read_info(folder)
    return bool(info["status"] == "finished" and info["key"] == key)


def _is_of(info: Mapping[str, Any], key: str) -> bool:
    """True if ``run.json`` is of this run, or of one that it is to become."""
    return key in (info["key"], info.get(_LONGER))


def is_beginning(folder: Path, run: RunConfig, seed: int, data_sha256: str) -> bool:
    """True if a run that has finished differs from this one in having fewer epochs.

    Args:
        folder: The run directory.
        run: The run with more epochs.
        seed: Its seed.
        data_sha256: Its data.

    Example:
        >>> from mmgraph.bench.spec import ModelSpec
        >>> is_beginning(Path("nowhere"), RunConfig("", ModelSpec(""), {}, {}), 1, "")
        False
    """
    if not (folder / INFO).exists() or read_info(folder)["status"] != "finished":
        return False
    if read_info(folder).get(_LONGER) == run.key(seed, data_sha256):
        return True
    info = finished_info(folder)
    epochs = info["trainer"].get("epochs", 0)  # a floor has none
    shorter = replace(run, trainer=run.trainer | {"epochs": epochs})
    if info["key"] != shorter.key(seed, data_sha256):
        return False
    # One with other epochs may have begun already.
    done = _epochs_trained(folder) if _LONGER in info else epochs
    return bool(max(epochs + 1, done) <= run.trainer["epochs"])


def go_on_longer(folder: Path, key: str) -> None:
    """Let a finished run be the beginning of one with more epochs.

    Until that has finished, the run stays what it is, and can be used.

    Args:
        folder: The run directory.
        key: Digest of the longer run.

    Raises:
        UserError: If it has no checkpoint to go on from.
    """
    if not has_checkpoint(folder / CHECKPOINT):
        raise UserError(
            "the run there has no checkpoint to go on from",
            "train in another --out",
            path=folder,
        )
    write_json(folder / INFO, read_info(folder) | {_LONGER: key})


def _clear_leftovers(folder: Path) -> None:
    for part in (folder, folder / CHECKPOINT):
        clear_temporary(part)


def give_up_run(folder: Path) -> None:
    """Leave no trace of a run that failed before it had anything to go on from.

    Where it was to go on from a finished one, that is as before.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> begin_run(folder, "k", resume=False)
        False
        >>> give_up_run(folder)
        >>> folder.exists()
        False
    """
    if (folder / INFO).exists() and _is_bare(folder):
        (folder / HISTORY).unlink(missing_ok=True)
        (folder / INFO).unlink()
        with suppress(OSError):  # others are in it
            folder.rmdir()
    elif (folder / INFO).exists():
        info = read_info(folder)
        if info.pop(_LONGER, None) is not None:
            with suppress(UserError):  # more epochs are there: it can go on
                _check_files(folder, info)
                write_json(folder / INFO, info)


def _is_bare(folder: Path) -> bool:
    trained = (folder / WEIGHTS).exists() or has_checkpoint(folder / CHECKPOINT)
    return not trained and read_info(folder)["status"] != "finished"


def save_run(folder: Path, trained: TrainedRun, source: DataSource) -> None:
    """Write a finished run; ``run.json`` comes last, so that it vouches for the rest.

    Args:
        folder: The run directory.
        trained: The run.
        source: Its data.
    """
    weights = pack_weights(trained.model.state_dict())
    write_run(folder, trained.line, weights, trained.history.rows, source)


def pack_weights(state: Mapping[str, Tensor]) -> bytes:
    """The content of ``model.safetensors``.

    Args:
        state: ``state_dict`` of a model, on any device.

    Example:
        >>> len(pack_weights({})) > 0
        True
    """
    tensors = {name: t.detach().cpu().clone() for name, t in state.items()}
    return add_checksum(save(tensors, metadata={CHECKSUM: PLACEHOLDER}))


def write_run(
    folder: Path,
    line: Mapping[str, Any],
    weights: bytes,
    history: Sequence[Mapping[str, Any]],
    source: DataSource,
) -> None:
    """Write the parts of a finished run, as :func:`save_run` does.

    Args:
        folder: The run directory.
        line: The line of results.
        weights: As :func:`pack_weights` gives them.
        history: Rows of the history.
        source: The data.
    """
    write_atomic(folder / WEIGHTS, weights)
    write_atomic(folder / HISTORY, to_json_lines(history))
    info = {
        "status": "finished",
        **line,
        "data_location": source.location,
        "split_rule": source.split,
        "split_seed": source.seed,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_json(folder / INFO, info)
    drop_previous(folder / CHECKPOINT)


def load_run(
    folder: str | Path,
    *,
    data: str | None = None,
    device: str = "cpu",
    load: Callable[[DataSource], tuple[Splits, str]] = DataSource.load,
) -> Run:
    """Rebuild a trained model with its data.

    Args:
        folder: A run directory.
        data: The data set, if it has moved since.
        device: Device of model and data, as the trainer takes it.
        load: Reads the data.

    Raises:
        UserError: If the folder is no finished run, a file is damaged, or the data are
            not those the model was trained on.
    """
    folder = Path(folder)
    info = finished_info(folder)
    location = data or info["data_location"]
    source = DataSource(location, info["split_rule"], info["split_seed"])
    _check_known(info["model"], folder / INFO)
    with _errors_name(folder / INFO):
        _, (splits, sha256) = source.load_for(
            [info["model"]], lambda sha256: sha256 == info["data_sha256"], load
        )
    if sha256 != info["data_sha256"]:
        raise UserError(
            f"the data differ from those of the run: {location} has SHA-256 {sha256}, "
            f"the run {info['data_sha256']}",
            "give the original data with --data",
            path=folder,
        )
    with _errors_name(folder / INFO):
        model = build_model(
            info["model"],
            splits[0],
            plugin=info["plugin"],
            fidelity=info["fidelity"],
            **info["options"],
        )
    _load_weights(model, folder / WEIGHTS)
    where = resolve_device(device)
    memo: dict[int, Any] = {}
    train, valid, test = (to_device(split, where, memo) for split in splits)
    return Run(model.eval().to(where), (train, valid, test), info)


def run_inputs(folder: Path, data: str | None = None) -> list[Path]:
    """Files that :func:`load_run` reads: those of the run, and those of its data.

    Args:
        folder: A run directory.
        data: The data set, if it has moved since.

    Raises:
        UserError: If the folder is no run directory.
    """
    location = data or read_info(folder).get("data_location")
    own = [folder / name for name in (INFO, HISTORY, WEIGHTS)]
    return own + (data_files(Path(location)) if isinstance(location, str) else [])


def _check_known(model: str, path: Path) -> None:
    try:
        resolve_model(model)
    except UserError as error:
        fix = f"{error.fix}; a system of your own needs --import MODULE"
        raise UserError(error.what, fix, path=path) from error


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Errors in the block that name no file name this one."""
    try:
        yield
    except UserError as error:
        if error.path is not None:
            raise
        raise UserError(error.what, error.fix, path=path) from error


def _load_weights(model: Recommender, path: Path) -> None:
    try:
        tensors = load_file(path)
        _check_weights(tensors, model)
        model.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the weights cannot be loaded ({' '.join(str(error).split())})",
            "train the run again",
            path=path,
        ) from error


def _check_weights(tensors: dict[str, Tensor], model: Recommender) -> None:
    """Refuse what ``load_state_dict`` would convert or take as it is."""
    expected = model.state_dict()
    for name, tensor in tensors.items():
        if name in expected and tensor.dtype != expected[name].dtype:
            raise ValueError(f"{name} is {tensor.dtype}, not {expected[name].dtype}")
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} holds NaN or infinity")


def read_info(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run directory.

    Raises:
        UserError: If it is missing or not JSON.

    Example:
        >>> read_info(Path("nowhere"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: nowhere: not a run directory (no run.json) - give a \
folder that mmgraph train wrote
    """
    path = folder / INFO
    if not path.is_file():
        raise UserError(
            "not a run directory (no run.json)",
            "give a folder that mmgraph train wrote",
            path=folder,
        )
    try:
        info = read_json(path, fix=_AGAIN)
        info["status"], info["key"]
    except KeyError as error:
        raise UserError("not readable", _AGAIN, path=path) from error
    return info


def finished_info(folder: Path) -> RunInfo:
    """``run.json`` of a run that has finished, whose other files are whole.

    Raises:
        UserError: If it has not, there is none, it does not say what it should, or the
            weights or the history are damaged.

    Example:
        >>> finished_info(Path("nowhere"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: nowhere: not a run directory (no run.json) - give a \
folder that mmgraph train wrote
    """
    info: Any = read_info(folder)
    if info["status"] != "finished":
        raise UserError(
            "the run has not finished",
            "continue it with mmgraph train ... --resume",
            path=folder,
        )
    kinds = get_type_hints(RunInfo)
    for name in _READ:
        if name not in info or not fits(info[name], kinds[name]):
            raise UserError(
                f"does not say {name!r} as a run does",
                _AGAIN,
                path=folder / INFO,
            )
    _check_files(folder, info)
    finished: RunInfo = info
    return finished


def _check_files(folder: Path, info: Mapping[str, Any]) -> None:
    """Refuse weights and a history that are damaged or of another run.

    What is not there is not used.
    """
    fix, is_to_grow = _AGAIN, _LONGER in info
    weights, history = folder / WEIGHTS, folder / HISTORY
    if weights.exists():
        file_has_checksum(weights, fix=fix)
        expected = info.get("weights_sha256")  # versions before 0.3 have none
        if expected is not None and file_digest(weights) != expected:
            if is_to_grow:  # a kill came before it was described
                what = "the weights are of the run with more epochs"
                raise UserError(what, "repeat its command with --resume", path=weights)
            raise UserError("the weights are of another run", fix, path=weights)
    if history.exists():
        epochs = _epochs_trained(folder)
        if epochs != info["epochs"] and not (is_to_grow and epochs > info["epochs"]):
            what = f"has {epochs} epochs, {INFO} says {info['epochs']}"
            raise UserError(what, fix, path=history)


def _epochs_trained(folder: Path) -> int:
    rows = read_json_lines(folder / HISTORY, fault_of=fault_of_epoch, fix=_AGAIN)
    return sum(row["epoch"] > 0 for row in rows)  # 0: a floor's evaluation
