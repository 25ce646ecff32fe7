"""Shares of users for machines that know nothing of each other."""

from __future__ import annotations

import copy

import torch
from torch_geometric.data import HeteroData

from mmgraph.distributed.world import World
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS
from mmgraph.train.evaluation import users_per_block
from mmgraph.train.recommendations import Audience


def audience_of_shard(
    audience: Audience, shard: tuple[int, int], block: int
) -> Audience:
    """Whole blocks of users, whose scores are then those of one process.

    Users that the data lack come last, so they are of the last share.

    Args:
        audience: The users of all shares.
        shard: Number of the share and how many there are, as
            :func:`~mmgraph.shards.parse_shard` gives them.
        block: Users that are ranked at a time.

    Raises:
        UserError: If the share has no users.

    Example:
        >>> audience_of_shard(Audience(torch.arange(5)), (2, 2), block=3).users
        tensor([3, 4])
    """
    number, count = shard
    users = audience.users[World(number - 1, count).share(len(audience.users), block)]
    own = Audience(users, audience.strangers if number == count else ())
    if not len(own.users) + len(own.strangers):
        raise UserError(
            f"shard {number}/{count} has no users, who are ranked {block} at a time",
            "use fewer shards",
        )
    return own


def block_of_shards(model: Recommender, num_items: int, k: int) -> int:
    """Users per block, as a CPU ranks them, whatever device does.

    Machines that divided at other places would miss users, or rank some twice.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> block_of_shards(MFBPR(3, 1024), num_items=1024, k=20)
        1024
    """
    return users_per_block(model, num_items, min(k, num_items), torch.device("cpu"))


def split_of_shard(
    model: Recommender, data: HeteroData, k: int, shard: tuple[int, int]
) -> HeteroData:
    """The same split with the positives of a share of its users.

    Evaluated, it gives the values of these users that the whole split gives.

    Args:
        model: The model that ranks, on its device.
        data: One split: ``edge_label_index`` holds its positives.
        k: The largest cut-off.
        shard: As of :func:`audience_of_shard`.

    Raises:
        UserError: If the share has no users.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, valid, _ = load_dataset("synthetic")
        >>> part = split_of_shard(build_model("MF-BPR", train), valid, 20, (1, 1))
        >>> part is valid, part.num_nodes == valid.num_nodes
        (False, True)
    """
    edges = data[INTERACTS].edge_label_index
    if not edges.numel():
        return data  # which evaluation refuses
    block = block_of_shards(model, model.num_items, k)
    own = audience_of_shard(Audience(edges[0].unique()), shard, block)
    part = copy.copy(data)
    part[INTERACTS].edge_label_index = edges[:, torch.isin(edges[0], own.users)]
    return part
