"""Distance and overlap of two samples, and of the neighbourhoods in two graphs."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor


def sliced_wasserstein(
    x: Tensor, y: Tensor, num_projections: int = 256, seed: int = 0
) -> float:
    r"""Sliced 1-Wasserstein distance of two point sets.

    The mean over random directions of the 1-Wasserstein distance of the projected
    samples (Eq. 17 of CLEAR, 2026), exact along each direction, also for sets of
    unequal size. It scales with the features: compare sets of the same scale only.

    Args:
        x: Points ``[N, d]``.
        y: Points ``[M, d]``.
        num_projections: Random directions.
        seed: Of the directions; the same on every device.

    Returns:
        The distance, in the unit of the features.

    Raises:
        ValueError: If a set is empty or the dimensions differ.

    Example:
        >>> x = torch.zeros(5, 1)
        >>> round(sliced_wasserstein(x, x + 3), 6)
        3.0
    """
    if x.size(1) != y.size(1) or 0 in (x.size(0), y.size(0)):
        raise ValueError(
            "both sets need points of one dimension "
            f"(got {list(x.shape)} and {list(y.shape)})"
        )
    generator = torch.Generator().manual_seed(seed)
    shape = (x.size(1), num_projections)
    direction = torch.randn(shape, generator=generator, dtype=torch.float64)
    direction = (direction / direction.norm(dim=0)).to(x)
    x_sorted = (x @ direction).sort(dim=0).values
    y_sorted = (y.to(x) @ direction).sort(dim=0).values
    n, m = x.size(0), y.size(0)
    if n == m:
        return float((x_sorted - y_sorted).abs().mean())
    # Both quantile functions are steps: constant between the merged break points.
    steps = [torch.arange(size + 1).double() / size for size in (n, m)]
    breaks = torch.cat(steps).sort().values
    length = breaks.diff().to(x)
    middle = (breaks[1:] + breaks[:-1]) / 2
    at_x = (middle * n).long().clamp(max=n - 1).to(x.device)
    at_y = (middle * m).long().clamp(max=m - 1).to(x.device)
    distance = (x_sorted[at_x] - y_sorted[at_y]).abs().mean(dim=1)
    return float((distance * length).sum())


@overload
def neighbour_overlap(
    edge_index_a: Tensor,
    edge_index_b: Tensor,
    num_nodes: int,
    *,
    per_node: Literal[False] = False,
) -> float: ...


@overload
def neighbour_overlap(
    edge_index_a: Tensor,
    edge_index_b: Tensor,
    num_nodes: int,
    *,
    per_node: Literal[True],
) -> Tensor: ...


def neighbour_overlap(
    edge_index_a: Tensor,
    edge_index_b: Tensor,
    num_nodes: int,
    *,
    per_node: bool = False,
) -> float | Tensor:
    r"""Fraction of neighbours that two graphs have in common.

    The mean over nodes of :math:`|N_a(i) \cap N_b(i)| / K_i`, :math:`K_i` the larger
    of the two degrees (:math:`K` in two kNN graphs). Nodes without a
    neighbour in either graph are left out. Two random kNN graphs without self edges
    are expected to have :math:`K / (N - 1)`.

    Args:
        edge_index_a: Edges ``[2, E_a]``, row 0 neighbour, row 1 centre.
        edge_index_b: Edges ``[2, E_b]`` on the same nodes.
        num_nodes: Number of nodes.
        per_node: Return the fractions ``[num_nodes]``, NaN for nodes left out.

    Returns:
        The mean in ``[0, 1]`` (NaN if there is no edge at all), or all fractions.

    Example:
        >>> a = torch.tensor([[1, 2, 0], [0, 0, 1]])
        >>> b = torch.tensor([[1, 3, 2], [0, 0, 1]])
        >>> neighbour_overlap(a, b, num_nodes=4)
        0.25
    """
    key_a, key_b = (
        torch.unique(edge_index[1] * num_nodes + edge_index[0])
        for edge_index in (edge_index_a, edge_index_b)
    )
    common = key_a[torch.isin(key_a, key_b)]
    size_a, size_b, size_common = (
        torch.bincount(key // num_nodes, minlength=num_nodes).double()
        for key in (key_a, key_b, common)
    )
    fraction = size_common / torch.maximum(size_a, size_b)  # 0 / 0 is NaN: left out
    return fraction if per_node else fraction.nanmean().item()


def overlap_coefficient(x: Tensor, y: Tensor, bins: int = 100) -> float:
    r"""Common area of two densities, :math:`\int \min(f_x, f_y)`.

    Estimated from histograms on common, equally wide bins.

    Args:
        x: Sample ``[N]``.
        y: Sample ``[M]``.
        bins: Number of bins over the joint range.

    Returns:
        From 0 (apart) to 1 (equal histograms).

    Raises:
        ValueError: If a sample is empty or ``bins`` is below 1.

    Example:
        >>> overlap_coefficient(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
        0.5
    """
    if bins < 1 or 0 in (x.numel(), y.numel()):
        raise ValueError(
            "overlap needs two samples and at least one bin "
            f"(got {x.numel()}, {y.numel()} values, {bins} bins)"
        )
    x, y = x.double().flatten(), y.double().flatten()
    both = torch.cat([x, y])
    low, high = both.min(), both.max()
    if low == high:
        return 1.0
    bin_of = ((both - low) / (high - low) * bins).long().clamp(max=bins - 1)
    mass_x = torch.bincount(bin_of[: x.numel()], minlength=bins).double() / x.numel()
    mass_y = torch.bincount(bin_of[x.numel() :], minlength=bins).double() / y.numel()
    return torch.minimum(mass_x, mass_y).sum().item()
