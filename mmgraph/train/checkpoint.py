"""The state of a run between two epochs, in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mmgraph.checksum import CHECKSUM, PLACEHOLDER, add_checksum, file_has_checksum
from mmgraph.errors import UserError
from mmgraph.files import write_atomic

FILE_NAME = "state.safetensors"
_AGAIN = "delete the folder and start again"


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], state: Any) -> None:
    """Write tensors and a JSON-able state so that a reader sees all or nothing.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_checkpoint(folder, {"w": torch.ones(2)}, {"epoch": 3})
        >>> load_checkpoint(folder)
        ({'w': tensor([1., 1.])}, {'epoch': 3})
    """
    write_atomic(folder / FILE_NAME, pack_checkpoint(tensors, state))


def pack_checkpoint(tensors: dict[str, Tensor], state: Any) -> bytes:
    """The content of such a file.

    Example:
        >>> len(pack_checkpoint({}, {"epoch": 3})) > 0
        True
    """
    # Tied or strided tensors are refused by the format, so each becomes its own.
    own = {
        key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()
    }
    metadata = {"state": json.dumps(state), CHECKSUM: PLACEHOLDER}
    return add_checksum(save(own, metadata=metadata))


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        UserError: If the file is not whole.
    """
    path = folder / FILE_NAME
    try:
        file_has_checksum(path, fix=_AGAIN)
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            state = json.loads(file.metadata()["state"])
    except UserError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the checkpoint cannot be read ({type(error).__name__})",
            _AGAIN,
            path=path,
        ) from None
    return tensors, state


def has_checkpoint(folder: Path) -> bool:
    """True if a checkpoint was written.

    Example:
        >>> has_checkpoint(Path("no/such/folder"))
        False
    """
    return (folder / FILE_NAME).is_file()


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
        f"{index}.{name}": value
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
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value.clone()
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
