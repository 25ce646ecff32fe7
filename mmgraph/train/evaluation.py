"""Full ranking of all items for every user of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Protocol, overload

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.validation import check_positives
from mmgraph.device import device_of, to_device
from mmgraph.distributed.exchange import rows_of_all
from mmgraph.distributed.world import World, world
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import RANKED_SCORES, RANKED_TILE
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.candidates import edges_of_candidates
from mmgraph.functional.recommend.metrics import ranking_metrics
from mmgraph.functional.recommend.negative_sampling import is_in_sorted
from mmgraph.functional.recommend.tiles import best_in_tiles
from mmgraph.functional.recommend.unseen import mask_seen
from mmgraph.functional.shrinking_blocks import shrinking_blocks
from mmgraph.models.base import Recommender
from mmgraph.options import Distinct, Option, PositiveInt
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.arguments import (
    check_features,
    check_has_edges,
    check_kinds,
    check_same_evaluation,
    check_users,
)
from mmgraph.train.sharding.column_tables import shared_dim
from mmgraph.train.sharding.item_shards import rank_in_shards

#: Users, items and scores of one block.
Ranked = tuple[Tensor, Tensor, Tensor]
CutOffs = Annotated[tuple[PositiveInt, ...], Distinct()]


class Rank(Protocol):
    """:func:`rank_items`, or what does it elsewhere."""

    def __call__(
        self,
        model: Recommender,
        data: HeteroData,
        users: Tensor,
        k: int,
        /,
        *,
        candidates: Tensor | None = None,
        include_seen: bool = False,
    ) -> Iterator[Ranked]:
        """The best items of each user, as :func:`rank_items` yields them."""


def rank_items(
    model: Recommender,
    data: HeteroData,
    users: Tensor,
    k: int,
    *,
    candidates: Tensor | None = None,
    include_seen: bool = False,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The ``k`` best items of each user, training items left out, block by block.

    Embeddings are computed once, for the current parameters.

    Args:
        model: A model; it is put into evaluation mode meanwhile.
        data: The training edges are what ``edge_index`` holds.
        users: User indices ``[n]``.
        k: Items per user.
        candidates: The only items to rank, ascending, as
            :func:`~mmgraph.functional.recommend.candidates.candidate_items` gives
            them; None: all.
        include_seen: Leave no training item out.

    Yields:
        Users ``[b]``, items ``[b, k]`` and scores ``[b, k]``, best first, one block at
        least. A score of minus infinity stands where no candidate was left.

    Raises:
        UserError: If a score is not finite, or the model is of another catalogue.
    """
    check_sizes(model, data)
    if not users.numel():
        count = model.num_items if candidates is None else candidates.numel()
        none = users.new_empty(0, min(k, count), dtype=torch.long)
        yield users, none, none.float()
        return
    was_training = model.training
    model.eval()
    try:
        device = device_of(model)
        data = model.add_graphs(to_device(data, device))
        dim = shared_dim(model)
        if dim is not None:
            for ranked in rank_in_shards(model, data, users.to(device), k, dim):
                _check_scores(ranked[2])
                yield ranked
            return
        with torch.no_grad():
            z_user, z_item = model.ranking_embeddings(data)
        if candidates is not None:
            candidates = candidates.to(device)
            z_item = z_item[candidates]
        num_items = z_item.size(0)
        history = _history_among(model, data, candidates, include_seen)
        k = min(k, num_items)
        users = users.to(z_user.device)

        def rank(start: int, stop: int) -> Ranked:
            block = users[start:stop]
            with torch.no_grad():
                scores = model.score(z_user[block], z_item)
            mask_seen(scores, history, block)
            best, item = scores.topk(k, dim=1)
            return block, item, best

        def rank_in_tiles(start: int, stop: int) -> Ranked:
            # The users of an incomplete block apart, as in rank(): products of one to
            # three rows round in another way.
            even = start + (stop - start) // size * size
            parts = [users[start:even], users[even:stop]]
            with torch.no_grad():
                found = [
                    best_in_tiles(z_user[part], z_item, history.rows(part), k + 1)
                    for part in parts
                    if part.numel()
                ]
            best, item = (torch.cat(each) for each in zip(*found, strict=True))
            # Of scores that tie, the whole row decides.
            tied = (best[:, 1:] == best[:, :-1]).any(dim=1)
            best, item = best[:, :k], item[:, :k]
            for first in range(start, stop, size):
                rows = slice(first - start, min(first + size, stop) - start)
                if bool(tied[rows].any()):
                    _, item[rows], best[rows] = rank(first, min(first + size, stop))
            return users[start:stop], item, best

        size = RANKED_SCORES.rows(num_items, device)
        tiled = _suits_tiles(model, device, num_items, k)
        compute = rank_in_tiles if tiled else rank
        block_size = users_per_block(model, num_items, k)
        for block, item, best in shrinking_blocks(compute, users.numel(), block_size):
            _check_scores(best)
            yield block, item if candidates is None else candidates[item], best
    finally:
        model.train(was_training)


def _check_scores(best: Tensor) -> None:
    # NaN and infinity rank first, so the best scores show them.
    if bool((best.isnan() | (best == float("inf"))).any()):
        raise UserError(
            "the model's scores are not finite",
            "train it with a smaller learning rate",
        )


def _history(model: Recommender, data: HeteroData) -> Adjacency:
    """The training items of each user, sorted once for all evaluations."""
    edges, (users, items) = data[INTERACTS].edge_index, _sizes(data)
    return model.cached(
        ("history", users, items),
        (edges,),
        lambda: Adjacency.bipartite(edges, users, items),
    )


def _history_among(
    model: Recommender,
    data: HeteroData,
    candidates: Tensor | None,
    include_seen: bool,
) -> Adjacency:
    """Items to leave out, numbered as the candidates are."""
    if candidates is None and not include_seen:
        return _history(model, data)
    users, items = _sizes(data)
    edges = data[INTERACTS].edge_index
    if candidates is not None:
        edges = edges_of_candidates(edges, candidates, items)
        items = candidates.numel()
    return Adjacency.bipartite(edges[:, :0] if include_seen else edges, users, items)


def _sizes(data: HeteroData) -> tuple[int, int]:
    return int(data[USER].num_nodes), int(data[ITEM].num_nodes)


def _suits_tiles(
    model: Recommender, device: torch.device, num_items: int, k: int
) -> bool:
    """True where few whole rows of scores stay in a cache and a product makes them."""
    plain = getattr(model.score, "__func__", None) is Recommender.score
    many = num_items > 8 * RANKED_TILE and k <= RANKED_TILE // 8
    return plain and many and device.type == "cpu"


def users_per_block(
    model: Recommender, num_items: int, k: int, device: torch.device | None = None
) -> int:
    """Users whose scores are held at a time.

    Rankings of some users are, to the last digit, those of all where the users before
    them fill whole blocks.

    Args:
        model: The model, on its device.
        num_items: Items of the catalogue.
        k: Items per user.
        device: Another device than that of the model.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> users_per_block(MFBPR(3, 1024), num_items=1024, k=20)
        1024
    """
    device = device_of(model) if device is None else device
    size = RANKED_SCORES.rows(num_items, device)
    if _suits_tiles(model, device, num_items, k):
        in_tile = RANKED_SCORES.rows(RANKED_TILE, device)
        return size * max(1, in_tile // size)
    return size


def check_sizes(model: Recommender, data: HeteroData) -> None:
    """Refuse data of another number of users or items than the model has.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> check_sizes(MFBPR(3, 2), from_interactions([0, 1], [0, 1]))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: the model has 3 users, the data have 2 - build the \
model for these data
    """
    for kind, count in ((USER, model.num_users), (ITEM, model.num_items)):
        if data[kind].num_nodes != count:
            raise UserError(
                f"the model has {count} {kind}s, the data have {data[kind].num_nodes}",
                "build the model for these data",
            )


@overload
def evaluate(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = ...,
    per_user: Literal[False] = ...,
    rank: Rank = ...,
) -> dict[str, float]: ...


@overload
def evaluate(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = ...,
    per_user: Literal[True],
    rank: Rank = ...,
) -> dict[str, np.ndarray]: ...


def evaluate(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = (10, 20),
    per_user: bool = False,
    rank: Rank = rank_items,
) -> dict[str, float] | dict[str, np.ndarray]:
    """Ranking metrics of one split over its users.

    Every item of the catalogue is ranked but the user's training items; each user with
    a positive in this split weighs the same.

    Args:
        model: A model.
        data: One split: ``edge_label_index`` holds its positives.
        ks: Cut-offs.
        per_user: Return one value per user instead of means.
        rank: Ranks the items of this model, in this process or elsewhere.

    Returns:
        ``{"recall@10": ..., ...}``; with ``per_user``, arrays and the users under
        ``"user"``, ascending.

    Raises:
        UserError: If an argument is no model or no split, a cut-off is no positive
            integer, the split is empty, a positive is a training edge, the model is of
            another catalogue or was trained on other features, a score is not finite,
            or another process evaluates something else.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, valid, test = load_dataset("synthetic")
        >>> sorted(evaluate(build_model("MF-BPR", train), test, ks=[5]))[:3]
        ['hit@5', 'map@5', 'mrr@5']
    """
    check_kinds(model, data=data)
    check_has_edges(data)
    check_features(model, data)
    check_same_evaluation(model, data, ks)
    edges = (data[INTERACTS].edge_index, data[INTERACTS].edge_label_index)
    model.cached(("sound", *_sizes(data)), edges, lambda: check_positives(data))
    if per_user:
        return split_metrics(model, data, ks=ks, per_user=True, rank=rank)
    return split_metrics(model, data, ks=ks, rank=rank)


def check_not_empty(edges: Tensor) -> None:
    """Refuse a split without a positive.

    Args:
        edges: User and item of each positive ``[2, P]``.

    Raises:
        UserError: If there is none.

    Example:
        >>> check_not_empty(torch.tensor([[0], [3]]))
    """
    if not edges.numel():
        fix = "choose another split; a run of --split none holds nothing out"
        raise UserError("the split has no interactions", fix)


@overload
def split_metrics(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = ...,
    per_user: Literal[False] = ...,
    rank: Rank = ...,
) -> dict[str, float]: ...


@overload
def split_metrics(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = ...,
    per_user: Literal[True],
    rank: Rank = ...,
) -> dict[str, np.ndarray]: ...


def split_metrics(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = (10, 20),
    per_user: bool = False,
    rank: Rank = rank_items,
) -> dict[str, float] | dict[str, np.ndarray]:
    """:func:`evaluate` of a split whose edges were checked before.

    Several processes of one training rank a share of the users each.
    """
    Option("ks", CutOffs, (10, 20)).check(ks, "evaluate")
    edges, num_items = data[INTERACTS].edge_label_index, data[ITEM].num_nodes
    check_not_empty(edges)
    device = device_of(model)
    positives, users, counts = model.cached(
        ("positives", num_items, device),
        (edges,),
        lambda: _positives(edges, num_items, device),
    )
    k = min(max(ks), num_items)
    processes, block_size = world(), users_per_block(model, num_items, k)
    if shared_dim(model) is not None:  # shares are of the items, then
        processes = World(0, 1)
    share = processes.share(len(users), block_size)
    hits = [torch.empty(0, k, dtype=torch.bool, device=device)]
    for block, ranked, score in rank(model, data, users[share], k):
        pair = block.unsqueeze(1) * num_items + ranked
        hits.append(is_in_sorted(pair, positives) & (score > float("-inf")))
    hit = torch.cat(hits)
    if processes.size > 1:
        hit = rows_of_all(hit, processes.sizes(len(users), block_size))
    complete = hit.size(1) == num_items
    if not per_user:
        return ranking_metrics(hit, counts, ks, complete=complete)
    values = ranking_metrics(hit, counts, ks, per_user=True, complete=complete)
    of_users = {"user": users} | values
    return {name: values.cpu().numpy() for name, values in of_users.items()}


def _positives(
    edges: Tensor, num_items: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs as ascending numbers, their users, and how many each of them has."""
    user, item = edges
    positives = torch.unique(user * num_items + item).to(device)
    owner = torch.div(positives, num_items, rounding_mode="floor")
    users, counts = torch.unique_consecutive(owner, return_counts=True)
    return positives, users, counts


def recommend(
    model: Recommender, data: HeteroData, users: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The ``k`` best items of the given users, never one of their training items.

    Args:
        model: A model.
        data: The data it was trained on.
        users: User indices ``[n]``.
        k: Items per user.

    Returns:
        Item indices ``[n, k]`` and scores ``[n, k]``, best first. Where a user has no
        candidate left, the item is -1 and the score minus infinity.

    Raises:
        UserError: If ``users`` are no indices of users of the data, or as
            :func:`rank_items`.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> item, score = recommend(
        ...     build_model("MF-BPR", train), train, torch.tensor([0, 1]), k=5
        ... )
        >>> item.shape
        torch.Size([2, 5])
    """
    check_kinds(model, data=data)
    check_users(users, int(data[USER].num_nodes))
    items, scores = [], []
    for _, item, score in rank_items(model, data, users, k):
        items.append(item.masked_fill(score == float("-inf"), -1))
        scores.append(score)
    return torch.cat(items), torch.cat(scores)
