"""One batch for several processes: each trains on its rows, the gradients add up.

Every process draws the same batch and the same random numbers. The embeddings of all
nodes are computed in each; what goes over the batch's triples is shared.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from mmgraph.distributed.world import World
from mmgraph.models.batch import Batch, BatchShare
from mmgraph.train.sharding.column_batch import ColumnBatch, ColumnShare


def batch_share(batch: Batch, world: World) -> Batch:
    """This process's share of a batch; the batch itself where there is one process.

    A batch of fewer triples than processes is everybody's, and counts less in each.

    Args:
        batch: The same in all processes.
        world: This process, and how many there are.

    Example:
        >>> import torch
        >>> batch = Batch(*torch.arange(9).view(3, 3))
        >>> batch_share(batch, World(1, 2)).user
        tensor([2])
    """
    if world.size == 1:
        return batch
    kind = ColumnShare if isinstance(batch, ColumnBatch) else BatchShare
    size, each = len(batch.user), 1 / world.size
    if size < world.size:
        return kind(batch, slice(0, size), weight=each, sum_weight=each)
    rows = world.share(size)
    return kind(batch, rows, weight=(rows.stop - rows.start) / size)


def weighted_terms(
    terms: dict[str, Tensor], batch: Batch, sums: Collection[str]
) -> dict[str, Tensor]:
    """Loss terms of a share that add up, over the processes, to those of the batch.

    Args:
        terms: Terms of the share by name. Those that are over all nodes, the same in
            all processes, count as means.
        batch: The share, or a whole batch, whose terms stay as they are.
        sums: Names of those that are sums over it, and no means.

    Example:
        >>> import torch
        >>> batch = Batch(*torch.arange(8).view(2, 4))
        >>> terms = {"bpr": torch.tensor(2.0), "reg": torch.tensor(2.0)}
        >>> weighted_terms(terms, batch_share(batch, World(0, 2)), sums=["reg"])
        {'bpr': tensor(1.), 'reg': tensor(2.)}
    """
    if not isinstance(batch, BatchShare):
        return terms
    return {
        name: term * (batch.sum_weight if name in sums else batch.weight)
        for name, term in terms.items()
    }
