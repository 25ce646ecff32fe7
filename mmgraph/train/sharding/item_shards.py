"""Ranking by a model whose embeddings are shared: each process ranks its items."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.distributed.columns import rows_of_columns
from mmgraph.distributed.exchange import rows_of_all, sum_over_processes
from mmgraph.distributed.world import world
from mmgraph.functional.block_sizes import RANKED_SCORES
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.candidates import edges_of_candidates
from mmgraph.functional.recommend.unseen import mask_seen
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM


@torch.no_grad()
def rank_in_shards(
    model: Recommender, data: HeteroData, users: Tensor, k: int, dim: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The ``k`` best items of each user, training items left out, in every process.

    Each process scores its share of the items; the best of all shares are the best.

    Args:
        model: A model with :func:`~mmgraph.train.sharding.column_tables.split_tables`.
        data: The data, with the model's graphs, on its device.
        users: User indices ``[n]``, the same in all processes.
        k: Items per user, no more than there are.
        dim: Columns of the embeddings.

    Yields:
        Users ``[b]``, items ``[b, k]`` and scores ``[b, k]``, best first.
    """
    parts = model.ranking_embeddings(data)
    z_user, z_item = (rows_of_columns(part, dim) for part in parts)
    num_users, num_items = (len(part) for part in parts)
    del parts
    processes = world()
    sizes, own = processes.sizes(num_items), processes.share(num_items)
    history = _own_history(data, num_users, own)
    counts = [min(k, size) for size in sizes]
    for block in users.split(RANKED_SCORES.rows(max(sizes), z_user.device)):
        z = _rows_of_owners(z_user, block, processes.share(num_users))
        scores = model.score(z, z_item)
        mask_seen(scores, history, block)
        best, item = scores.topk(counts[processes.rank], dim=1)
        all_best = rows_of_all(best.t().contiguous(), counts).t()
        all_item = rows_of_all((item + own.start).t().contiguous(), counts).t()
        best, place = all_best.topk(k, dim=1)
        yield block, all_item.gather(1, place), best


def _own_history(data: HeteroData, num_users: int, own: slice) -> Adjacency:
    """The training items of each user among this process's, numbered as these are."""
    edges = data[INTERACTS].edge_index
    items = torch.arange(own.start, own.stop, device=edges.device)
    few = edges_of_candidates(edges, items, int(data[ITEM].num_nodes))
    return Adjacency.bipartite(few, num_users, len(items))


def _rows_of_owners(own_rows: Tensor, index: Tensor, own: slice) -> Tensor:
    """Rows that one process or another has, in every process."""
    rows = own_rows.new_zeros(len(index), own_rows.size(1))
    mine = (index >= own.start) & (index < own.stop)
    rows[mine] = own_rows[index[mine] - own.start]
    return sum_over_processes(rows)
