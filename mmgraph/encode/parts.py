"""Finished parts of a feature file in a folder, so that a stop loses one part at most.

Beside them lies what they depend on; parts of something else are not taken.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum, has_checksum
from mmgraph.encode.encoder import Encoded, Fault
from mmgraph.errors import UserError
from mmgraph.files import read_json, write_atomic, write_json
from mmgraph.folders import check_output_folder
from mmgraph.lock import locked, locked_folder

SETTINGS = "settings.json"
#: Seconds that a shard waits for another one to begin.
_WAIT = 10.0
_log = logging.getLogger(__name__)
_FIX = "delete that folder"
_SHARD_LOCK = ".shard-{}-of-{}.lock"


def parts_folder(out: Path) -> Path:
    """Folder of the parts of a feature file.

    Example:
        >>> parts_folder(Path("visual.npz")).name
        'visual.npz.parts'
    """
    return out.with_name(f"{out.name}.parts")


def check_parts(folder: Path, *, resume: bool) -> None:
    """Refuse a folder of parts that is in the way, before any work is done.

    Args:
        folder: It need not exist.
        resume: Parts that lie there are to be taken.

    Raises:
        UserError: If it holds parts and these are not to be taken, or something else.
    """
    check_output_folder(folder)
    if (folder / SETTINGS).exists():
        if not resume:
            fix = "go on with --resume, or delete that folder"
            raise UserError("holds the parts of a run that ended", fix, path=folder)
    elif folder.exists() and any(not p.name.startswith(".") for p in folder.iterdir()):
        what, fix = "holds files that are not from this command", "choose another --out"
        raise UserError(what, fix, path=folder)


@contextmanager
def locked_parts(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder of parts; it goes when it is empty.

    Raises:
        UserError: As :func:`~mmgraph.lock.locked_folder`; also if a shard is under way.
    """
    try:
        with locked_folder(folder), ExitStack() as shards:
            for lock in sorted(folder.glob(_SHARD_LOCK.format("*", "*"))):
                shards.enter_context(locked(lock, folder))
            yield
    finally:
        with suppress(OSError):  # something is in it
            folder.rmdir()


@contextmanager
def locked_shard(
    folder: Path, shard: tuple[int, int], settings: dict[str, Any]
) -> Iterator[None]:
    """Claim a folder of parts for a shard; the other shards may work in it, too.

    Args:
        folder: The folder.
        shard: Its number, and how many there are.
        settings: As for :func:`claim_parts`.

    Raises:
        UserError: If the same shard or a run of the whole table is under way, or as
            :func:`claim_parts`.
    """
    with ExitStack() as stack:
        with locked_folder(folder, wait=_WAIT):
            claim_parts(folder, settings)
            stack.enter_context(locked(folder / _SHARD_LOCK.format(*shard), folder))
        yield


def claim_parts(folder: Path, settings: dict[str, Any]) -> None:
    """Write what parts depend on, or find that parts there depend on the same.

    Args:
        folder: The folder; the caller holds its lock.
        settings: What they depend on.

    Raises:
        UserError: If parts of something else lie there.
    """
    path = folder / SETTINGS
    if not path.exists():
        write_json(path, settings)
        return
    there = read_json(path, fix=_FIX)
    for name, value in json.loads(json.dumps(settings)).items():
        if there.get(name) != value:
            what = f"holds parts with another {name} ({there.get(name)})"
            raise UserError(what, f"run again with that one, or {_FIX}", path=folder)


def write_part(folder: Path, number: int, part: Encoded) -> None:
    """Write a part, whole or not at all, with its checksum.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> part = Encoded(np.ones((1, 2), np.float32), {1: Fault("no such file")})
        >>> write_part(folder, 0, part)
        >>> read_part(folder, 0).faults
        {1: Fault(reason='no such file', detail='')}
        >>> read_part(folder, 1) is None
        True
    """
    faults = {str(position): list(fault) for position, fault in part.faults.items()}
    marks = {"faults": json.dumps(faults), CHECKSUM: PLACEHOLDER}
    content = add_checksum(save({"features": part.features}, marks))
    write_atomic(_path(folder, number), content)


def read_part(folder: Path, number: int) -> Encoded | None:
    """Read a part; None where there is none, or a damaged one, which is told of."""
    path = _path(folder, number)
    if not path.exists():
        return None
    try:
        content = path.read_bytes()
        has_checksum(content, path)
        features = load(content)["features"]
        size = int.from_bytes(content[:8], "little")
        marks = json.loads(content[8 : 8 + size])["__metadata__"]
    except (UserError, SafetensorError, OSError, ValueError, KeyError) as error:
        what = error.what if isinstance(error, UserError) else error
        _log.warning("%s: %s; it is made anew", path, what)
        return None
    faults = json.loads(marks["faults"])
    return Encoded(features, {int(n): Fault(*fault) for n, fault in faults.items()})


def count_parts(folder: Path, count: int) -> int:
    """How many of the first parts are there, damaged ones with them."""
    return sum(_path(folder, number).exists() for number in range(count))


def remove_parts(folder: Path, count: int) -> None:
    """Remove the parts from their folder, and nothing of others."""
    for number in range(count):
        _path(folder, number).unlink(missing_ok=True)
    (folder / SETTINGS).unlink(missing_ok=True)


def _path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.safetensors"
