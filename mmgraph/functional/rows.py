"""Rows of matrices, picked and multiplied."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgraph.functional.block_sizes import PICKED_ROWS


def take_rows(x: Tensor | nn.Embedding, index: Tensor | None) -> Tensor:
    """``x[index]``, or ``x`` itself without an index.

    The backward of plain indexing adds up repeated rows with atomics on several CPU
    threads, in an order that changes from run to run; that of an embedding look-up
    does not, and is faster.

    Args:
        x: Matrix, or a table, whose gradient is sparse if it says so (``sparse``).
        index: Row numbers, or None for all rows.

    Shapes:
        - **input:** :math:`(N, d)`, index :math:`(B)`
        - **output:** :math:`(B, d)`

    Example:
        >>> import torch
        >>> take_rows(torch.eye(3), torch.tensor([2, 2]))
        tensor([[0., 0., 1.],
                [0., 0., 1.]])
    """
    if isinstance(x, nn.Embedding):
        looked_up: Tensor = x.weight if index is None else x(index)
        return looked_up
    return x if index is None else F.embedding(index, x)


def distinct_rows(index: Tensor, *, shared: bool = False) -> tuple[Tensor, Tensor]:
    r"""Row numbers without repeats, and where each entry is among them.

    What costs much per row is then done once for each. On a CPU they are the distinct
    ones, ascending. Their number would have to be read from any other device, which the
    host would wait for: there they are all of them, in their order.

    Args:
        index: Row numbers.
        shared: Equal entries lead to one place everywhere, so that what is drawn for a
            row is the same wherever the row comes back.

    Shapes:
        - **index:** :math:`(B)` int64
        - **output:** :math:`(K)` with :math:`K \le B`, and :math:`(B)`

    Example:
        >>> distinct_rows(torch.tensor([7, 3, 7]))
        (tensor([3, 7]), tensor([1, 0, 1]))
    """
    if index.device.type == "cpu":
        distinct, place = torch.unique(index, return_inverse=True)
        return distinct, place
    if not shared:
        return index, torch.arange(index.numel(), device=index.device)
    ascending, order = index.sort(stable=True)
    return index, order[torch.searchsorted(ascending, index)]


@torch.no_grad()
def row_dots(a: Tensor, index_a: Tensor, b: Tensor, index_b: Tensor) -> Tensor:
    r"""Inner products of picked rows, :math:`\langle a_{r}, b_{s} \rangle`.

    Without a gradient, and without a copy of all picked rows at once.

    Args:
        a: Matrix.
        index_a: Row :math:`r` of each product.
        b: Matrix of the same dimension.
        index_b: Row :math:`s` of each product.

    Shapes:
        - **input:** :math:`(N, d)`, :math:`(E)`, :math:`(M, d)`, :math:`(E)`
        - **output:** :math:`(E)`

    Example:
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
        >>> row_dots(a, torch.tensor([0, 0]), b, torch.tensor([1, 0]))
        tensor([17., 11.])
    """
    pairs = zip(index_a.split(PICKED_ROWS), index_b.split(PICKED_ROWS), strict=True)
    return torch.cat([(a[r] * b[s]).sum(dim=1) for r, s in pairs])
