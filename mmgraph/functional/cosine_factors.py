"""Cosines of rows that are products of narrow and wide matrices."""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-12  # least length a row counts with, as in torch's normalize


def cosine_factors(
    narrow_a: Tensor, wide_a: Tensor, narrow_b: Tensor, wide_b: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Two matrices as narrow as the factors, whose inner products are the cosines.

    .. math::
        \mathbf{P} \mathbf{Q}^\top = \cos(\mathbf{H}_a \mathbf{G}_a,
        \mathbf{H}_b \mathbf{G}_b), \qquad
        \mathbf{p}_i = \frac{\mathbf{h}^a_i \mathbf{G}_a \mathbf{G}_b^\top}
        {\|\mathbf{h}^a_i \mathbf{G}_a\|}, \qquad
        \mathbf{q}_j = \frac{\mathbf{h}^b_j}{\|\mathbf{h}^b_j \mathbf{G}_b\|}

    All inner products of :math:`N` and :math:`M` rows then cost :math:`N M k` and not
    :math:`N M d`. A row of length 0 has inner products 0. Where the parts of a row
    :math:`\mathbf{h} \mathbf{G}` cancel to a fraction :math:`r` of their size, the
    relative error grows with :math:`1 / r^2`.

    Args:
        narrow_a: :math:`\mathbf{H}_a`.
        wide_a: :math:`\mathbf{G}_a`.
        narrow_b: :math:`\mathbf{H}_b`.
        wide_b: :math:`\mathbf{G}_b`.

    Shapes:
        - **input:** :math:`(N, k)`, :math:`(k, d)`, :math:`(M, l)`, :math:`(l, d)`
        - **output:** :math:`(N, l)` and :math:`(M, l)`

    Example:
        >>> narrow, wide = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])
        >>> p, q = cosine_factors(narrow, wide, narrow, wide)
        >>> p @ q.T
        tensor([[1., 1.],
                [1., 1.]])
    """
    p = narrow_a @ (wide_a @ wide_b.T) / _lengths(narrow_a, wide_a)
    return p, narrow_b / _lengths(narrow_b, wide_b)


def _lengths(narrow: Tensor, wide: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(narrow @ wide, dim=1, keepdim=True)
    return length.clamp_min(_EPS)
