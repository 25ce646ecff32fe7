"""Coverage, novelty, diversity, popularity bias and groups of a model's lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.validation import check_positives
from mmgraph.errors import UserError
from mmgraph.functional.recommend.list_measures import (
    catalogue_coverage,
    diversity_in_lists,
    gini_index,
    mean_in_lists,
    self_information,
    unit_user_rows,
)
from mmgraph.functional.recommend.metrics import ranking_metrics
from mmgraph.functional.recommend.popularity_groups import GROUPS, popularity_groups
from mmgraph.functional.unit_rows import unit_rows
from mmgraph.models.base import Recommender
from mmgraph.options import Option
from mmgraph.schema import INTERACTS, ITEM, feature_key, mask_key, modalities
from mmgraph.train.arguments import check_features, check_has_edges, check_kinds
from mmgraph.train.evaluation import CutOffs, Rank, rank_items
from mmgraph.train.measures.split_lists import SplitLists, rank_split

Values = dict[str, float | None]


def measure(
    model: Recommender,
    data: HeteroData,
    *,
    ks: Sequence[int] = (10, 20),
    measures: Iterable[str] = (),
    candidates: str = "all",
    rank: Rank = rank_items,
) -> dict[str, Any]:
    """Ranking metrics of one split, and measures of the lists beside their hits.

    Args:
        model: A model.
        data: One split: ``edge_label_index`` holds its positives.
        ks: Cut-offs.
        measures: Names of :data:`MEASURES`.
        candidates: ``"all"`` items, ``"warm"`` (with training interactions) or
            ``"cold"`` ones: only these are ranked, and only users with a positive
            among them count.
        rank: See :func:`~mmgraph.train.evaluation.evaluate`.

    Returns:
        ``metrics`` as :func:`~mmgraph.train.evaluation.evaluate` gives them, and, where
        they were asked for, ``measures`` (``{"coverage@10": ...}``; None where no list
        has a value) and ``groups`` (of ``users`` and ``items``).

    Raises:
        UserError: As ``evaluate`` does; if a measure or the candidates are unknown.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, valid, _ = load_dataset("synthetic")
        >>> model = build_model("MF-BPR", train)
        >>> found = measure(model, valid, ks=[5], measures=["coverage", "diversity"])
        >>> list(found["measures"])
        ['coverage@5', 'diversity_visual@5', 'diversity_textual@5', \
'diversity_interactions@5']
    """
    chosen = list(measures)
    for name in chosen:
        if name not in MEASURES:
            fix = f"choose among {', '.join(MEASURES)}"
            raise UserError(f"unknown measure {name!r}", fix)
    check_kinds(model, data=data)
    check_has_edges(data)
    check_features(model, data)
    check_positives(data)
    Option("ks", CutOffs, (10, 20)).check(ks, "evaluate")
    lists = rank_split(model, data, max(ks), candidates, rank=rank)
    result: dict[str, Any] = {"metrics": _metrics(lists, lists.users, ks)}
    for name in chosen:
        kind, function = MEASURES[name]
        result.setdefault(kind, {}).update(function(lists, data, ks))
    return result


def _metrics(lists: SplitLists, users: Tensor, ks: Sequence[int]) -> dict[str, float]:
    """Metrics of some of the users."""
    count = torch.bincount(lists.positives[0])[users]
    hits = lists.hits[torch.isin(lists.users, users)]
    complete = lists.items.size(1) == lists.num_candidates
    return ranking_metrics(hits, count, ks, complete=complete)


def _of_each_cut_off(
    name: str, lists: SplitLists, ks: Sequence[int], value: Callable[[Tensor], Any]
) -> Values:
    """A value of the lists at each cut-off, the mean where it is one per user."""
    values: Values = {}
    for k in ks:
        found = np.asarray(value(lists.items[:, :k]), dtype=np.float64)
        known = found[~np.isnan(found)]
        values[f"{name}@{k}"] = float(known.mean()) if known.size else None
    return values


def _coverage(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> Values:
    total = lists.num_candidates
    return _of_each_cut_off(
        "coverage", lists, ks, lambda i: catalogue_coverage(i, total)
    )


def _gini(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> Values:
    value = partial(gini_index, num_candidates=lists.num_candidates)
    return _of_each_cut_off("gini", lists, ks, value)


def _novelty(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> Values:
    bits = self_information(lists.item_degree, len(lists.user_degree))
    return _of_each_cut_off("novelty", lists, ks, partial(mean_in_lists, bits))


def _popularity(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> Values:
    """Mean training interactions of the items, and over those of the history."""
    degree, edges = lists.item_degree.double(), data[INTERACTS].edge_index.cpu()
    total = torch.bincount(edges[0], degree[edges[1]], len(lists.user_degree))
    usual = (total / lists.user_degree)[lists.users]
    return {
        **_of_each_cut_off("popularity", lists, ks, partial(mean_in_lists, degree)),
        **_of_each_cut_off(
            "popularity_lift", lists, ks, lambda i: mean_in_lists(degree, i) / usual
        ),
    }


def _diversity(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> Values:
    """By the features of each modality, and by the users in common."""
    values: Values = {}
    for name in modalities(data):
        x = data[ITEM][feature_key(name)].cpu().float()
        mask = data[ITEM].get(mask_key(name))
        x = x if mask is None else x * mask.cpu().unsqueeze(1)
        values |= _diversity_by(name, unit_rows(x).numpy(), lists, ks)
    sizes = len(lists.user_degree), len(lists.item_degree)
    users = unit_user_rows(data[INTERACTS].edge_index, *sizes)
    return values | _diversity_by("interactions", users, lists, ks)


def _diversity_by(name: str, rows: Any, lists: SplitLists, ks: Sequence[int]) -> Values:
    return _of_each_cut_off(
        f"diversity_{name}", lists, ks, lambda items: diversity_in_lists(items, rows)
    )


def _users(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> dict[str, Any]:
    """Metrics of users by their number of training interactions."""
    group = popularity_groups(lists.user_degree)[lists.users]
    found = {}
    for number, name in enumerate(GROUPS):
        users = lists.users[group == number]
        if len(users):
            found[name] = {"users": len(users), **_metrics(lists, users, ks)}
    return {"users": found}


def _items(lists: SplitLists, data: HeteroData, ks: Sequence[int]) -> dict[str, Any]:
    """How often items are shown, and found, by their training interactions."""
    group = popularity_groups(lists.item_degree)
    of_positive, there = group[lists.positives[1]], lists.items >= 0
    of_list = group[lists.items.clamp(min=0)]
    found = {}
    for number, name in enumerate(GROUPS):
        own = of_positive == number
        wanted = torch.bincount(
            lists.positives[0, own], minlength=len(lists.user_degree)
        )
        wanted = wanted[lists.users].double()
        shown = (of_list == number) & there
        values: dict[str, Any] = {
            "items": int((group == number).sum()),
            "positives": float(own.double().mean()),
        }
        for k in ks:
            hits = (lists.hits & shown)[:, :k].sum(dim=1)[wanted > 0]
            recall = hits / wanted[wanted > 0]
            places = int(there[:, :k].sum())
            values[f"shown@{k}"] = int(shown[:, :k].sum()) / places
            values[f"recall@{k}"] = float(recall.mean()) if len(recall) else None
        found[name] = values
    return {"items": found}


#: Where the values of a measure stand in the result, and what computes them.
MEASURES: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "coverage": ("measures", _coverage),
    "gini": ("measures", _gini),
    "novelty": ("measures", _novelty),
    "popularity": ("measures", _popularity),
    "diversity": ("measures", _diversity),
    "users": ("groups", _users),
    "items": ("groups", _items),
}
