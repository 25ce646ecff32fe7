"""The state of a run between two epochs, in one file; the one before it is kept.

The file before the last, ``state.previous.safetensors``, is used when the last one is
damaged. It costs its size on disk once more, until the run is finished.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum, file_has_checksum
from mmgraph.errors import UserError
from mmgraph.files import unwritable, write_atomic

FILE_NAME, PREVIOUS = "state.safetensors", "state.previous.safetensors"

logger = logging.getLogger(__name__)


def save_checkpoint(
    folder: Path,
    tensors: dict[str, Tensor],
    state: Any,
    *,
    keep_previous: bool = False,
) -> None:
    """Write tensors and a JSON-able state so that a reader sees all or nothing.

    Args:
        folder: Folder of the checkpoint.
        tensors: Tensors by name.
        state: What else belongs to it.
        keep_previous: Keep what is there as the checkpoint before this one. Otherwise
            it is of another run, and goes.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_checkpoint(folder, {"w": torch.ones(2)}, {"epoch": 3})
        >>> load_checkpoint(folder)
        ({'w': tensor([1., 1.])}, {'epoch': 3})
    """
    content = pack_checkpoint(tensors, state)
    if not keep_previous:
        write_atomic(folder / FILE_NAME, content)
        drop_previous(folder)
        return
    # A kill between the two leaves the last one under the name of the one before it.
    if (folder / FILE_NAME).exists():
        os.replace(folder / FILE_NAME, folder / PREVIOUS)
    write_atomic(folder / FILE_NAME, content)


def drop_previous(folder: Path) -> None:
    """Forget the checkpoint before the last.

    Example:
        >>> drop_previous(Path("no/such/folder"))
    """
    (folder / PREVIOUS).unlink(missing_ok=True)


def drop_checkpoints(folder: Path) -> None:
    """Forget all checkpoints of a folder.

    Raises:
        UserError: If they cannot be removed.

    Example:
        >>> drop_checkpoints(Path("no/such/folder"))
    """
    if has_checkpoint(folder):
        try:
            (folder / FILE_NAME).unlink(missing_ok=True)
            drop_previous(folder)
        except OSError as error:
            raise unwritable(folder, error) from error


def pack_checkpoint(tensors: dict[str, Tensor], state: Any) -> bytes:
    """The content of such a file.

    Example:
        >>> len(pack_checkpoint({}, {"epoch": 3})) > 0
        True
    """
    metadata = {"state": json.dumps(state), CHECKSUM: PLACEHOLDER}
    return add_checksum(save(_with_own_storage(tensors), metadata=metadata))


def _with_own_storage(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU and contiguous; the format refuses tied tensors, which are copied."""
    own: dict[str, Tensor] = {}
    storages: set[int] = set()
    for key, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        storage = value.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != value.nbytes:
            value = value.clone()
        storages.add(value.untyped_storage().data_ptr())
        own[key] = value
    return own


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], Any]:
    """Read what :func:`save_checkpoint` wrote, or the one before if that is damaged.

    The damaged one is removed, so that it never takes the place of a whole one.

    Raises:
        UserError: If there is no whole one.
    """
    path, previous = folder / FILE_NAME, folder / PREVIOUS
    if not previous.exists():
        return _read(path, "the checkpoint cannot be read")
    try:
        return _read(path, "")
    except UserError:
        loaded = _read(previous, "neither this checkpoint nor the last can be read")
    if path.exists():  # a kill may have come before it was written
        logger.warning("%s is damaged: going on from the one before it", path)
    os.replace(previous, path)
    return loaded


def _read(path: Path, what: str) -> tuple[dict[str, Tensor], Any]:
    try:
        file_has_checksum(path)
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            state = json.loads(file.metadata()["state"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        reason = getattr(error, "what", type(error).__name__)
        fix = f"delete {path.parent} and start again"
        raise UserError(f"{what} ({reason})", fix, path=path) from None
    return tensors, state


def has_checkpoint(folder: Path) -> bool:
    """True if a checkpoint was written.

    Example:
        >>> has_checkpoint(Path("no/such/folder"))
        False
    """
    return any((folder / name).is_file() for name in (FILE_NAME, PREVIOUS))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat names.

    Example:
        >>> p = torch.nn.Parameter(torch.zeros(1))
        >>> optimizer = torch.optim.Adam([p])
        >>> p.sum().backward(); _ = optimizer.step()
        >>> sorted(optimizer_tensors(optimizer))
        ['0.exp_avg', '0.exp_avg_sq', '0.step']
    """
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)  # SparseAdam counts in Python
        for index, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Put the state of :func:`optimizer_tensors` back.

    Example:
        >>> p = torch.nn.Parameter(torch.zeros(1))
        >>> optimizer = torch.optim.Adam([p])
        >>> restore_optimizer(optimizer, {})
    """
    state: dict[int, dict[str, Tensor | int]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        counts = name == "step" and isinstance(optimizer, torch.optim.SparseAdam)
        state.setdefault(int(index), {})[name] = int(value) if counts else value.clone()
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
