"""Random removal of user-item edges."""

from __future__ import annotations

import math
from decimal import Decimal

import torch
from torch import Tensor


def prune_edges(
    edge_index: Tensor,
    ratio: float,
    *,
    by: str = "degree",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Choose the edges that survive a pruning, without replacement.

    :math:`\lfloor E (1 - \rho) \rfloor` edges stay. With ``by="degree"`` they are
    drawn one after another with probability proportional to
    :math:`1 / \sqrt{d_u d_i}` among those left, so that edges between popular nodes
    go first (Eq. 10 of "A Tale of Two Graphs: Freezing and Denoising Graph Structures
    for Multimodal Recommendation", Zhou and Shen, ACM MM 2023). The smallest
    :math:`e / w`, e exponential, follow the same law in one pass, for any number of
    edges (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).

    Args:
        edge_index: User (row 0) and item (row 1) of each edge.
        ratio: Fraction to remove, in ``[0, 1]``.
        by: ``degree`` or ``uniform``.
        generator: Source of randomness, on the device of ``edge_index``.

    Returns:
        Positions of the kept edges, int64, ascending.

    Shapes:
        edge_index: ``[2, E]``; returns ``[floor(E * (1 - ratio))]``.

    Raises:
        ValueError: ``ratio`` is outside ``[0, 1]`` or ``by`` is unknown.

    Example:
        >>> edge_index = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 1]])
        >>> generator = torch.Generator().manual_seed(0)
        >>> len(prune_edges(edge_index, 0.5, generator=generator))
        2
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"'ratio' must be in [0, 1] (got {ratio})")
    if by not in ("degree", "uniform"):
        raise ValueError(f"'by' must be 'degree' or 'uniform' (got {by!r})")
    user, item = edge_index
    key = torch.empty(user.numel(), dtype=torch.float64, device=edge_index.device)
    key.exponential_(generator=generator)
    if by == "degree":
        key *= (user.bincount()[user] * item.bincount()[item]).double().sqrt()
    # In decimals: 40 * (1 - 0.8) is 7.99... in binary, and its floor 7.
    num_kept = user.numel() - math.ceil(user.numel() * Decimal(str(ratio)))
    return key.topk(num_kept, largest=False, sorted=False).indices.sort().values
