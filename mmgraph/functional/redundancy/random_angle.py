"""The angle between two random directions, in closed form."""

from __future__ import annotations

import math

import scipy.special
from torch import Tensor


def random_angle_density(theta: Tensor, dim: int) -> Tensor:
    r"""Density of the angle between two independent random directions.

    .. math::
        p_n(\theta) = \frac{\Gamma(n/2)}{\sqrt{\pi}\,\Gamma((n-1)/2)}
        \sin^{n-2}\theta

    (Eq. 1 of "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation", 2024.)

    Args:
        theta: Angles in :math:`[0, \pi]`.
        dim: :math:`n`, at least 2.

    Returns:
        Densities, in the shape of ``theta``.

    Raises:
        ValueError: If ``dim`` is below 2.

    Example:
        >>> import torch
        >>> random_angle_density(torch.tensor([0.5]), dim=2)  # uniform in the plane
        tensor([0.3183])
    """
    _check(dim)
    log_scale = math.lgamma(dim / 2) - math.lgamma((dim - 1) / 2)
    return math.exp(log_scale) / math.sqrt(math.pi) * theta.sin() ** (dim - 2)


def random_angle_variance(dim: int) -> float:
    r"""Variance of that angle: :math:`\psi_1(n/2) / 2`, exactly.

    The second derivative at 0 of the log of :math:`E[e^{it(\theta - \pi/2)}] =
    \Gamma(n/2)^2 / (\Gamma((n+t)/2)\,\Gamma((n-t)/2))`; close to :math:`1/(n-1)`.

    Args:
        dim: :math:`n`, at least 2.

    Returns:
        The variance in square radians.

    Raises:
        ValueError: If ``dim`` is below 2.

    Example:
        >>> round(random_angle_variance(64), 5)
        0.01587
    """
    _check(dim)
    return 0.5 * float(scipy.special.polygamma(1, dim / 2))


def _check(dim: int) -> None:
    if dim < 2:
        raise ValueError(f"'dim' must be at least 2 (got {dim})")
