"""Similarity along the edges of a graph."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.rows import take_rows


def edge_cosine(x: Tensor, edge_index: Tensor) -> Tensor:
    r"""Cosine of both ends of each edge, :math:`\langle x_j, x_i \rangle / |x_j||x_i|`.

    Differentiable in ``x``. With the edges of :func:`mmgraph.knn.knn_graph` this is the
    learned similarity of LATTICE (Zhang et al., "Mining Latent Structures for
    Multimedia Recommendation", ACM MM 2021): choosing the ``k`` largest entries of the
    similarity matrix passes a gradient to the chosen entries alone, so that nothing is
    lost by computing no others.

    Args:
        x: Node features.
        edge_index: Source (row 0) and target (row 1) of each edge.

    Shapes:
        - **input:** :math:`(N, d)`, :math:`(2, E)`
        - **output:** :math:`(E)`; 0 where an end is a zero row

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
        >>> edge_cosine(x, torch.tensor([[0, 1], [0, 0]]))
        tensor([1.0000, 0.6000])
    """
    unit = F.normalize(x, dim=1, eps=1e-12)
    source, target = edge_index
    return (take_rows(unit, source) * take_rows(unit, target)).sum(dim=1)
