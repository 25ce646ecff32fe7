"""What the processes of a training send each other; with one process, nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmgraph.distributed.world import world
from mmgraph.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


class ConnectionLostError(UserError):
    """Another process is gone, or has not answered in time.

    Args:
        reason: What torch.distributed says.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the connection to another process is lost ({reason})",
            "start again with --resume",
        )


def between_processes(function: Callable[P, T]) -> Callable[P, T]:
    """A function in which an error of torch.distributed means a lost process.

    A shortage of memory and a group that cannot exchange such tensors are other errors.

    Raises:
        ConnectionLostError: In the place of the RuntimeError.

    Example:
        >>> between_processes(len)("ab")
        2
    """

    @wraps(function)
    def exchanged(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if "No backend type" in str(error):
                raise
            raise ConnectionLostError(str(error).strip().partition("\n")[0]) from error

    return exchanged


@between_processes
def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of every process's tensor, in the place of this one's.

    Example:
        >>> sum_over_processes(torch.ones(2))
        tensor([1., 1.])
    """
    if world().size > 1:
        dist.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up the processes' gradients of some parameters, in one exchange.

    Parameters without a gradient, the same in all processes, stay without. Sparse ones
    are exchanged by themselves.

    Args:
        parameters: The parameters, in the same order everywhere.

    Example:
        >>> parameter = nn.Parameter(torch.ones(2))
        >>> parameter.sum().backward()
        >>> sum_gradients([parameter])
        >>> parameter.grad
        tensor([1., 1.])
    """
    if world().size == 1:
        return
    given = [p for p in parameters if p.grad is not None]
    dense: dict[torch.dtype, list[nn.Parameter]] = {}
    for p in given:
        assert p.grad is not None
        if p.grad.is_sparse:
            p.grad = sum_over_processes(p.grad.coalesce())
        else:
            dense.setdefault(p.grad.dtype, []).append(p)
    for group in dense.values():
        flat = torch.cat([p.grad.flatten() for p in group if p.grad is not None])
        sum_over_processes(flat)
        parts = flat.split([p.numel() for p in group])
        for p, part in zip(group, parts, strict=True):
            p.grad = part.view_as(p)


@between_processes
def rows_of_all(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """The rows of all processes, one process after the other, in every process.

    Args:
        rows: This process's rows.
        sizes: How many each process has.

    Example:
        >>> rows_of_all(torch.ones(2, 1), [2])
        tensor([[1.],
                [1.]])
    """
    if world().size == 1:
        return rows
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    parts = [part[:size] for part, size in zip(gathered, sizes, strict=True)]
    return torch.cat(parts)


@between_processes
def take_from_first(tensors: Mapping[str, Tensor]) -> None:
    """Put the first process's values into the tensors of all.

    Args:
        tensors: Of the same names, shapes and types everywhere.

    Example:
        >>> take_from_first({"weight": torch.ones(2)})
    """
    if world().size == 1:
        return
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        whole = tensor.contiguous()
        dist.broadcast(whole, src=0)
        if whole is not tensor:
            tensor.copy_(whole)


def words_of_all(value: Any) -> list[Any]:
    """What each process says, in every process.

    Args:
        value: What this one says, as JSON can hold it.

    Example:
        >>> words_of_all({"data": "5e1f"})
        [{'data': '5e1f'}]
    """
    if world().size == 1:
        return [value]
    content = json.dumps(value).encode()
    length = torch.tensor([len(content)], device=_device())
    sizes = rows_of_all(length, [1] * world().size).tolist()
    own = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(_device())
    together = rows_of_all(own, sizes)
    parts = [bytes(part.tolist()) for part in together.split(sizes)]
    return [json.loads(part) for part in parts]


def word_of_first(value: Any) -> Any:
    """What the first process says, in every process.

    Example:
        >>> word_of_first({"epochs": 3})
        {'epochs': 3}
    """
    return words_of_all(value if world().is_first else None)[0]


def _device() -> torch.device:
    """Where the tensors are that the processes can exchange."""
    on_gpus = dist.is_initialized() and dist.get_backend() == dist.Backend.NCCL
    return torch.device("cuda" if on_gpus else "cpu")
