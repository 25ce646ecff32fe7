"""Centred kernel alignment: likeness of two feature matrices of any dimensions."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.redundancy.projection import covariance64


def linear_cka(x_a: Tensor, x_b: Tensor, mask: Tensor | None = None) -> float:
    r"""Linear centred kernel alignment of two feature matrices over the same items.

    .. math::
        \frac{|C_{ab}|_F^2}{|C_{aa}|_F \, |C_{bb}|_F}

    with the covariances of centred features, which equals the alignment of the two
    centred Gram matrices ``[N, N]`` (Kornblith et al., "Similarity of Neural Network
    Representations Revisited", ICML 2019) without making them. It does not change when
    a matrix is shifted, scaled or rotated.

    Args:
        x_a: Features ``[N, d_a]``.
        x_b: Features ``[N, d_b]``, same rows.
        mask: Boolean ``[N]``, False leaves a row out.

    Returns:
        From 0 (no linear relation) to 1 (equal but for rotation and scale); 0 if a
        matrix is constant.

    Raises:
        ValueError: If the row counts differ or no row is left.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
        >>> round(linear_cka(x, 3 * x.flip(1) + 1), 6)
        1.0
    """
    pairs = (x_a, x_b), (x_a, x_a), (x_b, x_b)
    return covariance_cka(*(covariance64(a, b, mask) for a, b in pairs))


def covariance_cka(cov_ab: Tensor, cov_a: Tensor, cov_b: Tensor) -> float:
    """:func:`linear_cka` from the covariances.

    Args:
        cov_ab: Cross-covariance ``[d_a, d_b]``.
        cov_a: Covariance of the first modality ``[d_a, d_a]``.
        cov_b: Covariance of the second ``[d_b, d_b]``.

    Example:
        >>> import torch
        >>> round(covariance_cka(0.5 * torch.eye(2), torch.eye(2), torch.eye(2)), 6)
        0.25
    """
    cov_a, cov_b = cov_a.double(), cov_b.double()
    scale = float(cov_a.norm() * cov_b.norm())
    return float(cov_ab.double().square().sum()) / scale if scale > 0 else 0.0


def chance_cka(cov_a: Tensor, cov_b: Tensor, num_rows: int) -> float:
    r"""Expected linear CKA of two matrices whose rows are matched at random.

    Over all permutations of the rows of one matrix, :math:`E |C_{ab}|_F^2 =
    \operatorname{tr} C_{aa} \operatorname{tr} C_{bb} / (N - 1)`, exactly. Wide matrices
    of few rows look alike by chance; compare with this.

    Args:
        cov_a: Covariance of the first modality ``[d_a, d_a]``.
        cov_b: Covariance of the second ``[d_b, d_b]``.
        num_rows: N, at least 2.

    Raises:
        ValueError: If there are fewer than two rows.

    Example:
        >>> import torch
        >>> round(chance_cka(torch.eye(2), torch.eye(2), num_rows=5), 6)
        0.5
    """
    if num_rows < 2:
        raise ValueError(f"'num_rows' must be at least 2 (got {num_rows})")
    cov_a, cov_b = cov_a.double(), cov_b.double()
    scale = float(cov_a.norm() * cov_b.norm())
    traces = float(cov_a.trace() * cov_b.trace())
    return traces / (num_rows - 1) / scale if scale > 0 else 0.0
