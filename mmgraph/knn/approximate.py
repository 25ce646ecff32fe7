"""Approximate kNN graphs with a proven share of the exact one."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from mmgraph.knn.certificate import RecallCertificate, certify_recall, edges_found
from mmgraph.knn.graph import knn_graph
from mmgraph.knn.metric.block_products import BlockProducts
from mmgraph.knn.rows.row_source import Features, RowSource
from mmgraph.knn.rows.survey import check_options, survey
from mmgraph.knn.search.backends import resolve_backend
from mmgraph.knn.search.block_search import search_block
from mmgraph.knn.search.inverted_lists import InvertedLists, cells_to_try
from mmgraph.knn.search.nearest_in_blocks import kept_rows, nearest_in_blocks
from mmgraph.knn.search.row_block import Centres, row_block
from mmgraph.knn.search.running_lists import RunningLists
from mmgraph.knn.search.without_own import without_own

_log = logging.getLogger(__name__)
_TUNING_ROWS = 256
_BLOCK_ROWS = 16_384
_WORTH = 0.25  # of the products of an exact graph; above, exact search is as quick


@dataclass(frozen=True)
class ApproximateGraph:
    """A graph and what is known of it.

    Attributes:
        edge_index: int64 ``[2, E]``, ordered as :func:`mmgraph.knn.knn_graph` orders.
        similarity: float32 ``[E]``, of each edge exactly.
        exact: Whether it is the exact graph.
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
    exact lists the number of cells and of cells to look into is chosen: the cheapest
    that leaves a quarter of the misses allowed. Then ``sample`` other rows are drawn,
    once, and :func:`mmgraph.knn.certificate.certify_recall` bounds the recall of the
    finished graph. If the bound misses, or no cheap search reaches the aim, or the
    table is so small that the sample is much of it, the exact graph is built and
    returned.

    The graph depends on seed, FAISS and number of threads; the certificate holds for
    the graph that is returned. That 99 in 100 hold counts over all builds, those that
    fall back included: of graphs returned as approximate, wrong ones may be more
    frequent where most builds fall back.

    Args:
        features: The table; it is held in memory.
        k: Neighbours per row.
        recall: Share of the exact edges wanted, below 1.
        metric: ``cosine``, ``ip`` or ``l2``.
        include_self: Whether a row is a candidate of its own list.
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
    if not 0 < recall < 1:
        raise ValueError(f"recall must lie between 0 and 1 (got {recall})")
    if sample < 1:
        raise ValueError(f"sample must be positive (got {sample})")
    check_options(k, metric)
    source = RowSource(features)
    found = survey(source, metric, nan=nan, duplicates=duplicates)
    table = _Table(source, k, BlockProducts(metric, found), include_self)
    generator = torch.Generator().manual_seed(seed)
    certificate = search = None
    if table.width > 0 and 4 * sample <= len(table.rows.id):
        search = _cheapest(table, 1 - (1 - recall) / 4, generator)
    if search is not None:
        neighbour, similarity = table.found(search, table.rows.id)
        sampled = table.draw(sample, generator)
        place = torch.searchsorted(table.rows.id, sampled)
        certificate = certify_recall(table.exact(sampled), neighbour[place], generator)
        cells, probe = search.num_cells, search.probe
        if certificate.lower_99 >= recall:
            centre = table.rows.id.repeat_interleave(table.width)
            edge_index = torch.stack([neighbour.flatten(), centre])
            value = similarity.flatten()
            return ApproximateGraph(edge_index, value, False, certificate, cells, probe)
        _log.info("recall surely %.4f, not %s: exact", certificate.lower_99, recall)
    del table, search
    edge_index, similarity = knn_graph(
        source.read(0, len(source)),
        k,
        metric=metric,
        include_self=include_self,
        nan=nan,
        duplicates=duplicates,
    )
    return ApproximateGraph(edge_index, similarity, True, certificate)


class _Table:
    """A table in memory and the lists of its rows, exact or as a search finds them."""

    def __init__(
        self, source: RowSource, k: int, products: BlockProducts, include_self: bool
    ) -> None:
        self.source, self.include_self = source, include_self
        self.products = products
        self.rows = kept_rows(source, products.survey.norm, 0, len(source))
        self.width = min(k, len(self.rows.id) - (not include_self))
        if self.width > 0:
            self.block = row_block(self.rows, self.products)
            members, distinct = self.block.members, torch.arange(len(self.block.x))
            self._distinct = torch.empty(len(source), dtype=torch.long)
            self._distinct[members.id] = distinct.repeat_interleave(members.size)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Ids of rows that take part, with replacement."""
        return self.rows.id[
            torch.randint(len(self.rows.id), (count,), generator=generator)
        ]

    def exact(self, id: Tensor) -> Tensor:
        """Exact lists, each distinct row searched once."""
        once, again = id.unique(return_inverse=True)
        neighbour, _ = nearest_in_blocks(
            self.source,
            self.products,
            self.rows[torch.searchsorted(self.rows.id, once)],
            self.width,
            include_self=self.include_self,
            block_rows=_BLOCK_ROWS,
            backend=resolve_backend("auto", id.device),
        )
        return neighbour[again]

    def found(self, search: InvertedLists, id: Tensor) -> tuple[Tensor, Tensor]:
        """Lists by the search, with their similarities."""
        distinct, again = self._distinct[id].unique(return_inverse=True)
        block, members = self.block, self.block.members
        centres = Centres(
            members.id[members.begin[distinct]], block.x[distinct], block.norm[distinct]
        )
        query = self.products.centres(centres.x, centres.norm)
        need = self.width + (not self.include_self)
        lists = RunningLists(len(query), need)
        search_block(block, search, centres, query, lists, self.products, 4096)
        neighbour, similarity = lists.neighbour[again], lists.similarity[again]
        if self.include_self:
            return neighbour, similarity
        return without_own(id, neighbour, similarity)


def _cheapest(
    table: _Table, aim: float, generator: torch.Generator
) -> InvertedLists | None:
    """The search of fewest products whose recall on some rows reaches the aim."""
    sampled = table.draw(_TUNING_ROWS, generator)
    exact, distinct = table.exact(sampled), len(table.block.x)
    best = None
    for num_cells in cells_to_try(distinct):
        search = InvertedLists(table.block.product, table.products.metric, num_cells)
        most = _WORTH * distinct if best is None else best.cost()
        while search.cost() < most:
            found, _ = table.found(search, sampled)
            share = float(edges_found(exact, found).double().mean())
            _log.debug("%d of %d cells: %.4f", search.probe, num_cells, share)
            if share >= aim:
                best = search
                break
            search.probe *= 2
    return best
