"""Cosine of items by the users that they have in common."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmgraph.functional.graph.co_occurrence import co_occurrence_blocks, strongest


def interaction_cosine(
    edge_index: Tensor,
    num_users: int,
    num_items: int,
    k: int,
    *,
    shrinkage: float = 0.0,
) -> tuple[Tensor, Tensor]:
    r"""Each item's ``k`` nearest others by the users who interacted with both.

    .. math::
        s_{ij} = \frac{\mathbf{r}_i^\top \mathbf{r}_j}
        {\lVert \mathbf{r}_i \rVert \lVert \mathbf{r}_j \rVert + h}

    with the columns :math:`\mathbf{r}_i` of the user-item matrix, from "Item-based
    collaborative filtering recommendation algorithms" (Sarwar et al., WWW 2001). The
    shrinkage :math:`h` holds similarities of few users down. Items without a common
    user are no neighbours.

    Args:
        edge_index: User (row 0) and item (row 1) of each interaction; one that is
            repeated counts once.
        num_users: Number of users.
        num_items: Number of items.
        k: Neighbours per item; ties go to the smaller number.
        shrinkage: :math:`h`.

    Returns:
        ``edge_index`` with the neighbour in row 0 and the centre in row 1, ordered by
        centre ascending, similarity descending, neighbour ascending; similarities.

    Shapes:
        edge_index: ``[2, E]`` int64; returns ``[2, E']`` int64 and ``[E']`` float32.

    Example:
        >>> edge_index = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 1]])
        >>> edges, cosine = interaction_cosine(edge_index, 3, 2, k=1)
        >>> edges.tolist(), cosine.tolist()
        ([[1, 0], [0, 1]], [0.8164966106414795, 0.8164966106414795])
    """
    pairs = torch.unique(edge_index, dim=1)
    users = pairs[1].bincount(minlength=num_items).cpu().numpy().astype(np.float64)
    parts = [(np.zeros((2, 0), np.int64), np.zeros(0))]
    for centre, neighbour, count in co_occurrence_blocks(
        pairs.flip(0), num_items, num_users
    ):
        norms = np.sqrt(users[centre] * users[neighbour])
        cosine = count / (norms + shrinkage)
        kept = strongest(centre, neighbour, cosine, k)
        parts.append((np.stack([neighbour[kept], centre[kept]]), cosine[kept]))
    edges, cosines = (
        np.concatenate(each, axis=-1) for each in zip(*parts, strict=True)
    )
    device = edge_index.device
    return (
        torch.from_numpy(edges).to(device),
        torch.from_numpy(cosines).float().to(device),
    )
