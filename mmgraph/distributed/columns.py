"""Matrices of which each process has some of the columns."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mmgraph.distributed.exchange import (
    between_processes,
    rows_of_all,
    sum_over_processes,
)
from mmgraph.distributed.world import world

#: Elements of a matrix that are sent at a time where it may be larger than a device.
_SENT_AT_ONCE = 2**20


def join_columns(part: Tensor, dim: int) -> Tensor:
    """The rows of all columns, in every process, from each process's columns.

    The gradient adds up over the processes, and each gets that of its own columns.

    Args:
        part: This process's columns, of the same rows everywhere.
        dim: Columns of all processes together.

    Shapes:
        - **input:** :math:`(N, d_p)`
        - **output:** :math:`(N, d)`

    Example:
        >>> join_columns(torch.ones(1, 2), dim=2)
        tensor([[1., 1.]])
    """
    joined: Tensor = part if world().size == 1 else _Join.apply(part, dim)
    return joined


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        return _joined(part, dim).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        total = sum_over_processes(grad.clone(memory_format=torch.contiguous_format))
        return total[:, world().share(ctx.dim)].contiguous(), None


def _joined(part: Tensor, dim: int) -> Tensor:
    return rows_of_all(part.t().contiguous(), world().sizes(dim)).t()


@torch.no_grad()
def whole_matrix(part: Tensor, dim: int, *, in_all: bool = True) -> Tensor:
    """The whole matrix in the memory of the machine, some rows after the other.

    Args:
        part: This process's columns.
        dim: Columns of all processes together.
        in_all: In every process; otherwise in the first alone, and the others give
            what they have.

    Example:
        >>> whole_matrix(torch.ones(1, 2), dim=2)
        tensor([[1., 1.]])
    """
    is_kept = in_all or world().is_first
    whole = part.new_empty(len(part), dim, device="cpu") if is_kept else part
    for rows in _blocks(len(part), dim):
        block = _joined(part[rows], dim)
        if is_kept:
            whole[rows] = block.cpu()
    return whole


@torch.no_grad()
def columns_of_first(whole: Tensor | None, part: Tensor, dim: int) -> None:
    """Put the first process's matrix into the columns of all, each its own.

    Args:
        whole: The matrix, in the first process; None in the others.
        part: Gets this process's columns.
        dim: Columns of all processes together.

    Example:
        >>> part = torch.zeros(1, 2)
        >>> columns_of_first(torch.ones(1, 2), part, dim=2)
        >>> part
        tensor([[1., 1.]])
    """
    for rows in _blocks(len(part), dim):
        if whole is None:
            block = part.new_empty(len(part[rows]), dim)
        else:
            block = whole[rows].to(part.device).contiguous()
        _broadcast(block)
        part[rows] = block[:, world().share(dim)]


@between_processes
def _broadcast(block: Tensor) -> None:
    if world().size > 1:
        dist.broadcast(block, src=0)


@between_processes
def rows_of_columns(part: Tensor, dim: int) -> Tensor:
    """This process's share of the rows, with all columns.

    Args:
        part: Its columns of all rows.
        dim: Columns of all processes together.

    Shapes:
        - **input:** :math:`(N, d_p)`
        - **output:** :math:`(N_p, d)`

    Example:
        >>> rows_of_columns(torch.ones(1, 2), dim=2)
        tensor([[1., 1.]])
    """
    processes = world()
    if processes.size == 1:
        return part
    rows, columns = processes.sizes(len(part)), processes.sizes(dim)
    own = rows[processes.rank]
    received = [own * width for width in columns]
    flat = part.new_empty(sum(received))
    sent = [count * part.size(1) for count in rows]
    dist.all_to_all_single(flat, part.contiguous().flatten(), received, sent)
    pieces = zip(flat.split(received), columns, strict=True)
    return torch.cat([piece.view(own, width) for piece, width in pieces], dim=1)


def _blocks(num_rows: int, dim: int) -> list[slice]:
    step = max(1, _SENT_AT_ONCE // dim)
    return [slice(start, start + step) for start in range(0, num_rows, step)]
