"""The ranked lists of a split's users, from which every measure is computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.functional.recommend.candidates import candidate_items
from mmgraph.functional.recommend.negative_sampling import is_in_sorted
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS, ITEM, USER
from mmgraph.train.evaluation import Rank, check_not_empty, rank_items


@dataclass(frozen=True)
class SplitLists:
    """Lists of the users of a split, on the CPU.

    Attributes:
        users: ``[n]``, ascending.
        items: Best first ``[n, k]``, -1 where no candidate was left.
        hits: True where an item is a positive of the split ``[n, k]``.
        positives: User and item of each positive ``[2, P]``, each once.
        num_candidates: Number of items that were ranked.
        user_degree: Training interactions of each user ``[U]``.
        item_degree: Training interactions of each item ``[I]``.
    """

    users: Tensor
    items: Tensor
    hits: Tensor
    positives: Tensor
    num_candidates: int
    user_degree: Tensor
    item_degree: Tensor


def rank_split(
    model: Recommender,
    data: HeteroData,
    k: int,
    candidates: str = "all",
    *,
    rank: Rank = rank_items,
) -> SplitLists:
    """Rank the candidates for every user who has one of them among her positives.

    Args:
        model: A model.
        data: One split: ``edge_label_index`` holds its positives.
        k: Items per user.
        candidates: ``"all"`` items, ``"warm"`` or ``"cold"`` ones.
        rank: See :func:`~mmgraph.train.evaluation.evaluate`.

    Raises:
        UserError: If the split is empty, or none of its positives is a candidate.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, valid, _ = load_dataset("synthetic")
        >>> rank_split(build_model("MF-BPR", train), valid, k=5).items.shape[1]
        5
    """
    num_users, num_items = (int(data[kind].num_nodes) for kind in (USER, ITEM))
    edges = data[INTERACTS].edge_index.cpu()
    user_degree, item_degree = (
        torch.bincount(of_edge, minlength=count)
        for of_edge, count in zip(edges, (num_users, num_items), strict=True)
    )
    chosen = candidate_items(item_degree, candidates)
    positives = data[INTERACTS].edge_label_index.cpu().unique(dim=1)
    check_not_empty(positives)
    if chosen is not None:
        positives = positives[:, torch.isin(positives[1], chosen)]
    if not positives.numel():
        what = f"no positive of the split is one of the {candidates} items"
        raise UserError(what, "choose another split, or other candidates")
    users = positives[0].unique()
    key = positives[0] * num_items + positives[1]  # ascending, as unique sorts them
    items, hits = [], []
    for block, ranked, score in rank(model, data, users, k, candidates=chosen):
        there = score > float("-inf")
        pair = block.unsqueeze(1) * num_items + ranked
        hits.append((is_in_sorted(pair, key.to(pair.device)) & there).cpu())
        items.append(ranked.masked_fill(~there, -1).cpu())
    return SplitLists(
        users=users,
        items=torch.cat(items),
        hits=torch.cat(hits),
        positives=positives,
        num_candidates=num_items if chosen is None else len(chosen),
        user_degree=user_degree,
        item_degree=item_degree,
    )
