"""Undirected graphs from directed ones."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.options import check_options


def symmetrise(
    edge_index: Tensor, similarity: Tensor, num_nodes: int, how: str
) -> tuple[Tensor, Tensor]:
    """Make the relation "is a neighbour of" symmetric.

    A similarity is the same from both ends, so an edge keeps its own.

    Args:
        edge_index: Neighbour (row 0) and centre (row 1) of each edge, no edge twice.
        similarity: Their similarities.
        num_nodes: Number of nodes.
        how: ``none`` leaves the edges; ``union`` joins two nodes if one is a neighbour
            of the other; ``mutual`` if each is.

    Returns:
        Edges and similarities in the order of every graph here: centre ascending,
        similarity descending, neighbour ascending.

    Raises:
        ValueError: If ``how`` is unknown.

    Shapes:
        edge_index: ``[2, E]``; similarity: ``[E]``.

    Example:
        >>> edge_index = torch.tensor([[1, 0, 1], [0, 1, 2]])
        >>> similarity = torch.tensor([0.9, 0.9, 0.5])
        >>> symmetrise(edge_index, similarity, 3, "union")[0]
        tensor([[1, 0, 2, 1],
                [0, 1, 1, 2]])
        >>> symmetrise(edge_index, similarity, 3, "mutual")[0]
        tensor([[1, 0],
                [0, 1]])
    """
    check_options(symmetrise=how)
    if how == "none":
        return edge_index, similarity
    neighbour, centre = edge_index
    forth, back = centre * num_nodes + neighbour, neighbour * num_nodes + centre
    if how == "mutual":
        mutual = torch.isin(forth, back)
        return edge_index[:, mutual], similarity[mutual]
    missing = ~torch.isin(back, forth)
    edge_index = torch.cat([edge_index, edge_index[:, missing].flip(0)], 1)
    similarity = torch.cat([similarity, similarity[missing]])
    order = edge_index[0].argsort()
    order = order[similarity[order].argsort(descending=True, stable=True)]
    order = order[edge_index[1, order].argsort(stable=True)]
    return edge_index[:, order], similarity[order]
