"""A wide linear map whose output only feeds narrow ones, without the wide product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Consumer = tuple[slice, Tensor, Tensor | None]


def chained_linear(
    x: Tensor, weight: Tensor, bias: Tensor, consumers: Sequence[Consumer]
) -> list[Tensor]:
    r"""Several linear maps of slices of one linear map of ``x``.

    .. math::
        \mathbf{y}_c = \mathbf{A}_c \, (\mathbf{W} \mathbf{x} + \mathbf{b})_{s_c}
        + \mathbf{a}_c
        = (\mathbf{A}_c \mathbf{W}_{s_c}) \, \mathbf{x}
        + (\mathbf{A}_c \mathbf{b}_{s_c} + \mathbf{a}_c)

    The right-hand side never makes the wide product; it is taken where it needs fewer
    multiplications. Values and gradients are those of the left-hand side.

    Args:
        x: Input rows.
        weight: :math:`\mathbf{W}`.
        bias: :math:`\mathbf{b}`.
        consumers: For each narrow map its slice :math:`s_c` of the wide output, its
            weight :math:`\mathbf{A}_c` and its bias :math:`\mathbf{a}_c` (or None).

    Shapes:
        - **input:** :math:`(N, F_{in})`, weight :math:`(F, F_{in})`
        - **output:** one :math:`(N, F_c)` per consumer

    Example:
        >>> x, w, b = torch.ones(2, 3), torch.ones(4, 3), torch.zeros(4)
        >>> chained_linear(x, w, b, [(slice(0, 2), torch.ones(1, 2), None)])
        [tensor([[6.],
                [6.]])]
    """
    if not consumers:
        return []
    num_rows, dim_in = x.shape
    dim_wide = weight.size(0)
    dim_narrow = sum(a.size(0) for _, a, _ in consumers)
    inner = sum(a.numel() for _, a, _ in consumers)
    direct = num_rows * (dim_in * dim_wide + inner)
    composed = inner * dim_in + num_rows * dim_in * dim_narrow
    if direct <= composed:
        wide = F.linear(x, weight, bias)
        return [F.linear(wide[:, s], a, c) for s, a, c in consumers]
    weights = torch.cat([a @ weight[s] for s, a, _ in consumers])
    biases = torch.cat(
        [a @ bias[s] if c is None else a @ bias[s] + c for s, a, c in consumers]
    )
    out = F.linear(x, weights, biases)
    return list(out.split([a.size(0) for _, a, _ in consumers], dim=1))
