"""Approximate kNN graphs with a proven recall."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import (
    CENTRE_BLOCK,
    NEIGHBOUR_BLOCK,
    halves_blocks,
)
from mmgraph.knn.certificate import RecallCertificate, certify_recall, recalled_edges
from mmgraph.knn.graph import knn_graph
from mmgraph.knn.metric.products import MetricProducts, metric_products
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_source import Features, RowSource
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.backends import resolve_backend
from mmgraph.knn.search.block_search import BlockSearch, nearest_rows
from mmgraph.knn.search.drop_self import drop_self
from mmgraph.knn.search.inverted_lists import InvertedLists, cells_to_try
from mmgraph.knn.search.row_block import row_block

_log = logging.getLogger(__name__)
_TUNING_SAMPLE = 256  # rows
_LARGEST_COST = 0.25  # of the products of an exact graph; above, that is as quick


@dataclass(frozen=True)
class ApproximateGraph:
    """A graph and what is known of it.

    Attributes:
        edge_index: int64 ``[2, E]``, ordered as :func:`mmgraph.knn.knn_graph` orders.
        similarity: float32 ``[E]``, of each edge exactly.
        exact: True for the exact graph.
        certificate: Of an approximate graph; of an exact one that which missed the
            aim, if an approximate graph was made before.
        num_cells: Cells of the search, 0 where none was made.
        probe: Cells each row looked into.
    """

    edge_index: Tensor
    similarity: Tensor
    exact: bool
    certificate: RecallCertificate | None = None
    num_cells: int = 0
    probe: int = 0


@torch.no_grad()
def approximate_knn_graph(
    features: Features,
    k: int,
    *,
    recall: float = 0.99,
    metric: str = "cosine",
    include_self: bool = False,
    nan: str = "refuse",
    duplicates: str = "keep",
    sample: int = 2000,
    seed: int = 0,
) -> ApproximateGraph:
    """Build a graph whose recall is at least ``recall``, with 99 % confidence.

    An IVF-Flat index proposes the neighbours; similarities, order and the rules for
    zero, broken and equal rows are those of the exact graph. On 256 random rows with
    exact neighbours the number of cells and of cells to look into is chosen: the
    cheapest that leaves a quarter of the misses allowed. Then ``sample`` other rows are
    drawn, once, and :func:`mmgraph.knn.certificate.certify_recall` bounds the recall of
    the finished graph. If the bound misses, or no cheap search reaches the aim, or the
    matrix is so small that the sample is much of it, the exact graph is built and
    returned.

    The graph depends on seed, FAISS and number of threads; the certificate holds for
    the graph that is returned. That 99 in 100 hold counts over all builds, those that
    fall back included: of graphs returned as approximate, wrong ones may be more
    frequent where most builds fall back.

    Args:
        features: The feature matrix; it is held in memory.
        k: Neighbours per row.
        recall: Ratio of the exact edges to reach, below 1.
        metric: ``cosine``, ``ip`` or ``l2``.
        include_self: Let a row be its own neighbour.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        duplicates: ``keep`` equal rows, or ``collapse`` them onto the first of each
            group.
        sample: Rows of the certificate; about 5 / (1 - recall) at least, or it cannot
            succeed.
        seed: Of the samples.

    Returns:
        The graph.

    Raises:
        ValueError: An option is out of range, or a row is refused.
        UserError: FAISS is not installed, or a file is at fault.

    Example:
        >>> graph = approximate_knn_graph(torch.eye(4), 1)
        >>> graph.exact, graph.edge_index.tolist()
        (True, [[1, 0, 0, 0], [0, 1, 2, 3]])
    """
    check_options(k=k, metric=metric, recall=recall, sample=sample)
    source = RowSource(features)
    policies: dict[str, Any] = {"nan": nan, "duplicates": duplicates}
    statistics = matrix_statistics(source, metric, **policies)
    rows = UsableRows.read(source, statistics.norm, 0, len(source))
    generator = torch.Generator().manual_seed(seed)
    count = min(k, len(rows) - (not include_self))
    certificate = None
    if count > 0 and 4 * sample <= len(rows):
        products = metric_products(source, statistics, metric)
        matrix = _Matrix(rows, products, count, include_self)
        graph = _approximate(matrix, recall, sample, generator)
        if graph is not None:
            certificate = graph.certificate
            if certificate is not None and certificate.lower_99 >= recall:
                return graph
            _log.info("not surely %s (%s): exact", recall, certificate)
        del matrix, graph
    options: dict[str, Any] = {"metric": metric, "include_self": include_self}
    edge_index, similarity = knn_graph(source[:], k, **options, **policies)
    return ApproximateGraph(edge_index, similarity, True, certificate)


class _Matrix:
    """Rows in memory and their neighbours, exact or as a search proposes them."""

    def __init__(
        self, rows: UsableRows, products: MetricProducts, k: int, include_self: bool
    ) -> None:
        self.rows, self.products = rows, products
        self.k, self.include_self = k, include_self
        self.block = row_block(rows, products)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Random positions of rows, with replacement."""
        return torch.randint(len(self.rows), (count,), generator=generator)

    @halves_blocks
    def exact(self, position: Tensor) -> Tensor:
        """Exact neighbours of some rows, each searched once."""
        once, again = position.unique(return_inverse=True)
        size = NEIGHBOUR_BLOCK.on("cpu")
        starts = range(0, len(self.rows), size)
        neighbour, _ = nearest_rows(
            (self.rows[start : start + size] for start in starts),
            self.products,
            self.rows[once],
            self.k,
            include_self=self.include_self,
            backend=resolve_backend("auto", position.device),
        )
        return neighbour[again]

    @halves_blocks
    def proposed(
        self, search: InvertedLists, position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Neighbours of some rows by the search, with their similarities."""
        distinct, again = self.block.groups.group[position].unique(return_inverse=True)
        count = self.k + (not self.include_self)
        block_search = BlockSearch(self.block.rows[distinct], self.products, count)
        block_search.add(self.block, search, CENTRE_BLOCK.on("cpu"))
        nearest = block_search.nearest
        neighbour, similarity = nearest.neighbour[again], nearest.score[again]
        if self.include_self:
            return neighbour, similarity
        return drop_self(self.rows.id[position], neighbour, similarity)


def _approximate(
    matrix: _Matrix, recall: float, sample: int, generator: torch.Generator
) -> ApproximateGraph | None:
    """The graph of the cheapest search, certified; None where none is cheap enough."""
    search = _cheapest(matrix, 1 - (1 - recall) / 4, generator)
    if search is None:
        return None
    neighbour, similarity = matrix.proposed(search, torch.arange(len(matrix.rows)))
    sampled = matrix.sample(sample, generator)
    exact = matrix.exact(sampled)
    certificate = certify_recall(exact, neighbour[sampled], generator)
    return ApproximateGraph(
        torch.stack([neighbour.flatten(), matrix.rows.id.repeat_interleave(matrix.k)]),
        similarity.flatten(),
        False,
        certificate,
        search.num_cells,
        search.probe,
    )


def _cheapest(
    matrix: _Matrix, aim: float, generator: torch.Generator
) -> InvertedLists | None:
    """The search of fewest products whose recall on some rows reaches the aim."""
    sampled = matrix.sample(_TUNING_SAMPLE, generator)
    exact, distinct = matrix.exact(sampled), len(matrix.block.rows)
    best = None
    for num_cells in cells_to_try(distinct):
        search = InvertedLists(matrix.block.product, matrix.products.metric, num_cells)
        most = _LARGEST_COST * distinct if best is None else best.cost()
        while search.cost() < most:
            proposed, _ = matrix.proposed(search, sampled)
            recall = float(recalled_edges(exact, proposed).double().mean())
            _log.debug("%d of %d cells: %.4f", search.probe, num_cells, recall)
            if recall >= aim:
                best = search
                break
            search.probe *= 2
    return best
