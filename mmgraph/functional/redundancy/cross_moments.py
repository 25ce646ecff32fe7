"""Means and cross-covariance of two matrices that are read block by block."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class CrossMoments:
    r"""Running means and sum of products about the means, in float64.

    A block :math:`(A, B)` of rows changes :math:`S = \sum_i (a_i - \bar a)(b_i - \bar
    b)^{\top}` by :math:`(A - \bar a_{\text{before}})^{\top} (B - \bar
    b_{\text{after}})`, which is exact for a block as it is for one row (Welford, 1962).
    So one pass is enough, nothing is ever subtracted from a large sum of squares, and
    memory is one block and one ``[d_a, d_b]`` matrix. Two parts can be merged (Chan,
    Golub and LeVeque, 1983).

    Args:
        dim_a: Dimension of the first matrix.
        dim_b: Dimension of the second.
        device: Device of the sums.

    Example:
        >>> moments = CrossMoments(1, 1)
        >>> for a in ([[1.0], [3.0]], [[8.0]]):
        ...     moments.update(torch.tensor(a), 2 * torch.tensor(a))
        >>> moments.mean_a, moments.covariance.round(decimals=4)
        (tensor([4.], dtype=torch.float64), tensor([[17.3333]], dtype=torch.float64))
    """

    def __init__(
        self, dim_a: int, dim_b: int, *, device: torch.device | str | None = None
    ) -> None:
        self.count = 0
        self.mean_a = torch.zeros(dim_a, dtype=torch.float64, device=device)
        self.mean_b = torch.zeros(dim_b, dtype=torch.float64, device=device)
        self.products = torch.zeros(dim_a, dim_b, dtype=torch.float64, device=device)

    def update(self, a: Tensor, b: Tensor) -> None:
        """Take in a block of rows.

        Args:
            a: Rows of the first matrix ``[n, dim_a]``.
            b: The same rows of the second ``[n, dim_b]``.
        """
        if len(a) == 0:
            return
        a, b = a.double(), b.double()
        mean_a, mean_b = a.mean(dim=0), b.mean(dim=0)
        self.count += len(a)
        if self.count == len(a):
            self.mean_a, self.mean_b = mean_a, mean_b
        fraction = len(a) / self.count
        self.mean_b = self.mean_b + fraction * (mean_b - self.mean_b)
        self.products.addmm_((a - self.mean_a).T, b - self.mean_b)
        self.mean_a = self.mean_a + fraction * (mean_a - self.mean_a)

    @property
    def covariance(self) -> Tensor:
        """Sum of products over the number of rows, ``[dim_a, dim_b]``."""
        if self.count == 0:
            raise ValueError("no rows were taken in (got 0)")
        return self.products / self.count


def merge_moments(parts: Iterable[CrossMoments]) -> CrossMoments:
    r"""The moments of all rows from those of disjoint parts, which stay as they are.

    :math:`S = S_1 + S_2 + \frac{n_1 n_2}{n_1 + n_2} \delta_a \delta_b^{\top}` with the
    differences :math:`\delta` of the means.

    Args:
        parts: At least one, all of the same dimensions.

    Raises:
        ValueError: If there is none.

    Example:
        >>> halves = [CrossMoments(1, 1), CrossMoments(1, 1)]
        >>> for part, value in zip(halves, (1.0, 3.0)):
        ...     part.update(torch.tensor([[value]]), torch.tensor([[value]]))
        >>> merge_moments(halves).covariance
        tensor([[1.]], dtype=torch.float64)
    """
    given = list(parts)
    if not given:
        raise ValueError("nothing to merge (got no moments)")
    merged = CrossMoments(*given[0].products.shape, device=given[0].products.device)
    for part in given:
        if part.count == 0:
            continue
        count = merged.count + part.count
        delta_a, delta_b = part.mean_a - merged.mean_a, part.mean_b - merged.mean_b
        merged.products += part.products
        merged.products += torch.outer(delta_a, delta_b) * (
            merged.count * part.count / count
        )
        merged.mean_a = merged.mean_a + part.count / count * delta_a
        merged.mean_b = merged.mean_b + part.count / count * delta_b
        merged.count = count
    return merged
