"""A wide linear map whose output only feeds narrow ones, without the wide product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

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
    weights, biases = _Composed.apply(
        weight, bias, [s for s, _, _ in consumers], *[a for _, a, _ in consumers]
    )
    own = [bias.new_zeros(a.size(0)) if c is None else c for _, a, c in consumers]
    biases = biases + torch.cat(own)
    out = F.linear(x, weights, biases)
    return list(out.split([a.size(0) for _, a, _ in consumers], dim=1))


class _Composed(torch.autograd.Function):
    """The products of narrow maps with the wide one, one below the other.

    The gradient of the wide weight is added up in place; left to autograd, each
    consumer makes one of its full size.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor, slices: list[slice], *narrow: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.slices = slices
        ctx.save_for_backward(weight, bias, *narrow)
        pairs = list(zip(slices, narrow, strict=True))
        return (
            torch.cat([a @ weight[s] for s, a in pairs]),
            torch.cat([a @ bias[s] for s, a in pairs]),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_weights: Tensor, to_biases: Tensor) -> tuple[Any, ...]:
        weight, bias, *narrow = ctx.saved_tensors
        # Where the first consumer reads every row it also writes every row first.
        kept = ctx.slices[0] != slice(None)
        to_weight = torch.zeros_like(weight) if kept else torch.empty_like(weight)
        to_bias = torch.zeros_like(bias)
        sizes = [a.size(0) for a in narrow]
        parts = zip(
            ctx.slices,
            narrow,
            to_weights.split(sizes),
            to_biases.split(sizes),
            strict=True,
        )
        to_narrow = []
        for s, a, to_w, to_b in parts:
            to_weight[s].addmm_(a.T, to_w, beta=float(kept))
            kept = True
            to_bias[s].addmv_(a.T, to_b)
            to_narrow.append(torch.addmm(to_b[:, None] * bias[s], to_w, weight[s].T))
        return to_weight, to_bias, None, *to_narrow
