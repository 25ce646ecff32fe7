from __future__ import annotations

import copy
import math
from itertools import combinations

import numpy as np
import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.functional.recommend.popularity_groups import GROUPS, popularity_groups
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train import evaluate
from mmgraph.train.measures import MEASURES, measure
from mmgraph.train.measures.split_lists import rank_split


@pytest.fixture(scope="module")
def test_split():
    *_, data, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    data = copy.copy(data)
    edges = data[INTERACTS].edge_index
    data[INTERACTS].edge_index = edges[:, edges[1] > 9]  # ten cold items
    return data


@pytest.fixture(scope="module")
def model(test_split):
    return build_model("MF-BPR", test_split, embedding_dim=8)


@pytest.fixture(scope="module")
def found(model, test_split):
    return measure(model, test_split, ks=[3, 10], measures=MEASURES)


def test_metrics_are_those_of_evaluate(model, test_split, found):
    assert found["metrics"] == evaluate(model, test_split, ks=[3, 10])
    assert set(measure(model, test_split)) == {"metrics"}


def test_a_cut_off_beyond_the_catalogue(model, test_split):
    values = measure(model, test_split, ks=[200], measures=MEASURES)
    assert values["metrics"] == evaluate(model, test_split, ks=[200])
    assert values["measures"]["coverage@200"] == 1


def test_candidates_change_who_counts_and_what_is_ranked(model, test_split):
    values = measure(model, test_split, ks=[10], candidates="cold")["metrics"]
    lists = rank_split(model, test_split, 10, "cold")
    recalls = [
        hits.sum().item() / (lists.positives[0] == user).sum().item()
        for user, hits in zip(lists.users, lists.hits, strict=True)
    ]
    assert values["recall@10"] == pytest.approx(np.mean(recalls))
    assert values["recall@10"] == 1.0  # ten cold items in lists of ten


def loop(model, data, k):
    """Every measure again, from sets and loops."""
    lists = rank_split(model, data, 10)
    rows = [row[:k] for row in lists.items.tolist()]
    edges = data[INTERACTS].edge_index.t().tolist()
    degree = [sum(item == i for _, item in edges) for i in range(50)]
    history = {u: [i for v, i in edges if v == u] for u in lists.users.tolist()}
    shown = [item for row in rows for item in row]
    means = [np.mean([degree[i] for i in row]) for row in rows]
    usual = [np.mean([degree[i] for i in history[u]]) for u in lists.users.tolist()]
    values = {
        "coverage": len(set(shown)) / 50,
        "novelty": np.mean([-math.log2(max(degree[i], 1) / 60) for i in shown]),
        "popularity": np.mean(means),
        "popularity_lift": np.mean(np.divide(means, usual)),
    }
    users_of = [{u for u, item in edges if item == i} for i in range(50)]

    def cosine(name, i, j):
        if name == "interactions":
            both = len(users_of[i] & users_of[j])
            return both / math.sqrt(len(users_of[i]) * len(users_of[j]))
        x = data["item"][f"x_{name}"].double()
        return torch.cosine_similarity(x[i], x[j], dim=0).item()

    for name in ("visual", "textual", "interactions"):
        mask = [bool(n) for n in degree]
        if name != "interactions":
            own = data["item"].get(f"mask_{name}")
            mask = [True] * 50 if own is None else own.tolist()
        mixed = []
        for row in rows:
            pairs = list(combinations([i for i in row if mask[i]], 2))
            if pairs:
                mixed.append(1 - np.mean([cosine(name, *pair) for pair in pairs]))
        values[f"diversity_{name}"] = np.mean(mixed)
    return values


@pytest.mark.parametrize("k", [3, 10])
def test_every_measure_is_that_of_a_loop(model, test_split, found, k):
    for name, value in loop(model, test_split, k).items():
        assert found["measures"][f"{name}@{k}"] == pytest.approx(value, abs=1e-6), name
    assert 0 < found["measures"][f"gini@{k}"] < 1  # by its definition in list_measures


def test_user_groups_are_the_users_by_their_history(model, test_split, found):
    lists = rank_split(model, test_split, 10)
    group = popularity_groups(lists.user_degree)[lists.users].tolist()
    each = evaluate(model, test_split, ks=[3, 10], per_user=True)
    groups = found["groups"]["users"]
    assert sum(values["users"] for values in groups.values()) == len(lists.users)
    for number, name in enumerate(GROUPS):
        own = [n for n, of_user in enumerate(group) if of_user == number]
        assert (name in groups) == bool(own)
        for metric in ("recall@3", "ndcg@10"):
            if own:
                expected = each[metric][own].mean()
                assert groups[name][metric] == pytest.approx(expected)


def test_item_groups_share_positives_places_and_hits(model, test_split, found):
    lists = rank_split(model, test_split, 10)
    group = popularity_groups(lists.item_degree).tolist()
    groups, positives = found["groups"]["items"], lists.positives.t().tolist()
    assert sum(values["items"] for values in groups.values()) == 50
    for number, name in enumerate(GROUPS):
        own = [pair for pair in positives if group[pair[1]] == number]
        assert groups[name]["positives"] == pytest.approx(len(own) / len(positives))
        places = [group[i] == number for row in lists.items.tolist() for i in row]
        assert groups[name]["shown@10"] == pytest.approx(np.mean(places))
        recalls = []
        for user, row in zip(lists.users.tolist(), lists.items.tolist(), strict=True):
            mine = {item for owner, item in own if owner == user}
            if mine:
                recalls.append(len(mine & set(row)) / len(mine))
        assert groups[name]["recall@10"] == pytest.approx(np.mean(recalls))


def test_unknown_measures_and_candidates_are_named(model, test_split):
    with pytest.raises(UserError, match="unknown measure 'luck' - choose among cover"):
        measure(model, test_split, measures=["luck"])
    with pytest.raises(UserError, match="candidates is 'new' - write all, warm, cold"):
        measure(model, test_split, candidates="new")
