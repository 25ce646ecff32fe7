"""Cosines of rows that are products of narrow and wide matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.functional.unit_rows import unit_rows


def cosine_factors(
    narrow_a: Tensor, wide_a: Tensor, narrow_b: Tensor, wide_b: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Two narrow matrices whose inner products are the cosines of wide rows.

    .. math::
        \mathbf{P} \mathbf{Q}^\top = \cos(\mathbf{H}_a \mathbf{G}_a,
        \mathbf{H}_b \mathbf{G}_b), \qquad
        \mathbf{P} = \mathrm{norm}(\mathbf{H}_a \mathbf{G}_a) \mathbf{B}, \qquad
        \mathbf{Q} = \mathrm{norm}(\mathbf{H}_b \mathbf{G}_b) \mathbf{B}

    where the columns of :math:`\mathbf{B}` are an orthonormal basis of what the rows of
    :math:`\mathbf{G}_a` and :math:`\mathbf{G}_b` span together. All inner products of
    :math:`N` and :math:`M` rows then cost :math:`N M (k + l)` and not :math:`N M d`. As
    both sides lie in that span, the gradient is that of the cosines although
    :math:`\mathbf{B}` is held constant; there is no second derivative.

    Args:
        narrow_a: :math:`\mathbf{H}_a`.
        wide_a: :math:`\mathbf{G}_a`.
        narrow_b: :math:`\mathbf{H}_b`.
        wide_b: :math:`\mathbf{G}_b`.

    Shapes:
        - **input:** :math:`(N, k)`, :math:`(k, d)`, :math:`(M, l)`, :math:`(l, d)`
        - **output:** :math:`(N, \min(k + l, d))` and :math:`(M, \min(k + l, d))`

    Example:
        >>> narrow, wide = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])
        >>> p, q = cosine_factors(narrow, wide, narrow, wide)
        >>> p @ q.T
        tensor([[1., 1.],
                [1., 1.]])
    """
    p, q = unit_rows(narrow_a @ wide_a), unit_rows(narrow_b @ wide_b)
    spanning = torch.cat([wide_a, wide_b])
    if spanning.size(0) >= spanning.size(1):
        return p, q
    with torch.no_grad():
        basis = torch.linalg.qr(spanning.T).Q
    return p @ basis, q @ basis
