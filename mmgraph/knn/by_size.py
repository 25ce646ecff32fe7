"""The graph of a matrix in a time that suits its size."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from torch import Tensor

from mmgraph.knn.approximate import approximate_knn_graph
from mmgraph.knn.graph import knn_graph

logger = logging.getLogger(__name__)

#: Rows from which the exact graph, whose products grow with their square, takes a CPU
#: tens of minutes (8 at 384 columns with this many, two hours at a million).
LARGE = 2**18
_RECALL = 0.99


def knn_graph_by_size(
    x: Tensor,
    k: int,
    *,
    metric: str = "cosine",
    backend: str = "auto",
    include_self: bool = False,
) -> tuple[Tensor, Tensor]:
    """The exact graph, or an approximate one of certified recall where that takes long.

    The log says which of the two a large matrix got. With ``backend="auto"``, 262,144
    rows or more on a CPU get a graph that has 99 % of the exact one's edges, with 99 %
    confidence (:func:`~mmgraph.knn.approximate_knn_graph`), if FAISS is installed.

    Args:
        x: Features, as :func:`~mmgraph.knn.knn_graph` takes them.
        k: Neighbours per row.
        metric: ``cosine``, ``ip`` or ``l2``.
        backend: As there; any but ``auto`` makes the exact graph.
        include_self: Let a row be its own neighbour.

    Returns:
        ``edge_index`` and ``similarity``, as there.

    Shapes:
        x: ``[N, D]``; edge_index: ``[2, E]``; similarity: ``[E]``.

    Raises:
        ValueError: As there.

    Example:
        >>> import torch
        >>> knn_graph_by_size(torch.eye(3), k=1, include_self=True)[0]
        tensor([[0, 1, 2],
                [0, 1, 2]])
    """
    is_large = len(x) >= LARGE and x.device.type == "cpu" and backend == "auto"
    if is_large and find_spec("faiss") is None:
        logger.info("%d rows: exact graph; with faiss-cpu it would be quicker", len(x))
    elif is_large:
        return _approximate(x, k, metric, include_self)
    return knn_graph(x, k, metric=metric, backend=backend, include_self=include_self)


def _approximate(
    x: Tensor, k: int, metric: str, include_self: bool
) -> tuple[Tensor, Tensor]:
    graph = approximate_knn_graph(
        x, k, recall=_RECALL, metric=metric, include_self=include_self
    )
    if graph.exact:
        logger.info("%d rows: exact graph; no quicker one is surely as good", len(x))
    else:
        assert graph.certificate is not None
        logger.info(
            "%d rows: approximate graph, recall at least %.4f with 99 %% confidence; "
            "mmgraph knn build makes an exact one",
            *(len(x), graph.certificate.lower_99),
        )
    return graph.edge_index, graph.similarity
