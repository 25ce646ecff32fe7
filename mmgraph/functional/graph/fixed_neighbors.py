"""A fixed number of weighted neighbours per node."""

from __future__ import annotations

import torch
from torch import Tensor


def fixed_neighbors(
    edge_index: Tensor,
    count: Tensor,
    num_nodes: int,
    size: int,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The first ``size`` neighbours of each node, weighted by a softmax of counts.

    .. math::
        a_{vk} = \frac{\exp c(v, n_{vk})}{\sum_{l=1}^{K} \exp c(v, n_{vl})}

    as in "DualGNN: Dual Graph Neural Network for Multimedia Recommendation" (Wang et
    al., IEEE TMM 2021). A node with fewer than :math:`K` neighbours fills up by uniform
    draws among those it has; each repeat is an edge of its own, so that the weights of
    equal edges add up. A node without neighbours has no edges.

    Args:
        edge_index: Neighbour (row 0) and centre (row 1), ordered by centre.
        count: Of each edge.
        num_nodes: Number of nodes.
        size: Neighbours per node :math:`K`.
        generator: Source of randomness, on the device of ``edge_index``.

    Returns:
        ``edge_index`` of the edges, :math:`K` for each node that has any, and their
        weights, which sum to one per node.

    Shapes:
        - **input:** :math:`(2, E)` and :math:`(E)` int64
        - **output:** :math:`(2, N' K)` int64, :math:`(N' K)` float

    Raises:
        ValueError: If ``size`` is not positive or the edges are not ordered.

    Example:
        >>> edge_index = torch.tensor([[1, 2, 0], [0, 0, 1]])
        >>> edges, weight = fixed_neighbors(edge_index, torch.tensor([3, 3, 1]), 3, 2)
        >>> edges.tolist(), weight.tolist()
        ([[1, 2, 0, 0], [0, 0, 1, 1]], [0.5, 0.5, 0.5, 0.5])
    """
    if size < 1:
        raise ValueError(f"'size' must be at least 1 (got {size})")
    neighbor, centre = edge_index
    if bool((centre.diff() < 0).any()):
        raise ValueError("edge_index must be ordered by its centres (got others)")
    degree = centre.bincount(minlength=num_nodes)
    start = degree.cumsum(0) - degree
    node = degree.nonzero().squeeze(1)
    degree, start = degree[node].unsqueeze(1), start[node].unsqueeze(1)

    # Position of a neighbour among its node's: 0, 1, ..., then draws among them.
    shape, device = (node.numel(), size), edge_index.device
    position = torch.arange(size, device=device).expand(shape)
    uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
    position = torch.where(position < degree, position, (uniform * degree).long())
    edge = start + position
    weight = count[edge].to(torch.get_default_dtype()).softmax(dim=1)
    edges = torch.stack([neighbor[edge].flatten(), node.repeat_interleave(size)])
    return edges, weight.flatten()
