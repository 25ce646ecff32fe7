"""Hubs: rows that are neighbours of very many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from torch import Tensor


@dataclass(frozen=True)
class Hubness:
    """Distribution of how often the rows of a graph are a neighbour.

    Attributes:
        skewness: Third standardised moment of how often a row is a neighbour, over
            the rows that have neighbours; 0 where all are equally often. Large
            values mean hubs (Radovanovic et al., Hubs in Space, JMLR 2010).
        hubs: The rows that are a neighbour most often and how often, most first.
        histogram: ``(least, most, rows)``: how many rows are one that often; the ranges
            double. Rows without any edge are left out.
    """

    skewness: float
    hubs: list[tuple[int, int]]
    histogram: list[tuple[int, int, int]]


def hubness(edge_index: Tensor, num_nodes: int, num_hubs: int = 10) -> Hubness:
    """Count how often each row is a neighbour.

    Args:
        edge_index: Neighbour (row 0) and centre (row 1) of each edge.
        num_nodes: Number of rows.
        num_hubs: Rows to name.

    Returns:
        The skewness, the hubs and the histogram.

    Shapes:
        edge_index: ``[2, E]``.

    Example:
        >>> import torch
        >>> result = hubness(torch.tensor([[0, 0, 1], [1, 2, 0]]), 4, num_hubs=1)
        >>> result.hubs, result.histogram
        ([(0, 2)], [(0, 0, 1), (1, 1, 1), (2, 3, 1)])
    """
    neighbour, centre = edge_index.cpu().numpy()
    count = np.bincount(neighbour, minlength=num_nodes)
    present = np.flatnonzero(count + np.bincount(centre, minlength=num_nodes))
    count = count[present]
    if not len(count):
        return Hubness(0.0, [], [])
    equal = count.min() == count.max()
    order = np.argsort(-count, kind="stable")[:num_hubs]
    hubs = [(int(present[i]), int(count[i])) for i in order]
    histogram, least = [], 0
    while least <= count.max():
        most = max(0, 2 * least - 1)
        rows = int(((count >= least) & (count <= most)).sum())
        histogram.append((least, most, rows))
        least = most + 1
    return Hubness(0.0 if equal else float(stats.skew(count)), hubs, histogram)
