from __future__ import annotations

import copy
import math
import sys

import numpy as np
import pytest
import torch
from every_system import evaluate_and_keep, evaluate_differing

from mmgraph.data import load_dataset, synthetic
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.functional.recommend.metrics import METRICS
from mmgraph.models import build_model
from mmgraph.schema import INTERACTS
from mmgraph.train import evaluate, recommend


@pytest.fixture(scope="module")
def splits():
    return load_dataset("synthetic")


@pytest.fixture(scope="module")
def model(splits):
    torch.manual_seed(0)
    return build_model("MF-BPR", splits[0])


def by_user(edge_index):
    items: dict[int, set[int]] = {}
    for user, item in edge_index.T.tolist():
        items.setdefault(user, set()).add(item)
    return items


def slow_metrics(model, data, k):
    """Recall and NDCG by loops over users and ranks."""
    z_user, z_item = model.encode(data)
    scores = (z_user @ z_item.t()).detach()
    history = by_user(data[INTERACTS].edge_index)
    wanted = by_user(data[INTERACTS].edge_label_index)
    recall, ndcg = [], []
    for user in sorted(wanted):
        row = scores[user].clone()
        row[list(history.get(user, ()))] = -1e10
        ranked = row.argsort(descending=True)[:k].tolist()
        hit = [item in wanted[user] for item in ranked]
        recall.append(sum(hit) / len(wanted[user]))
        gain = sum(h / math.log2(r + 2) for r, h in enumerate(hit))
        ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted[user]))))
        ndcg.append(gain / ideal)
    return np.array(recall), np.array(ndcg)


@pytest.mark.parametrize("split", [1, 2])
def test_equals_a_loop_over_users(splits, model, split):
    data = splits[split]
    recall, ndcg = slow_metrics(model, data, 20)
    metrics = evaluate(model, data)
    assert metrics["recall@20"] == pytest.approx(recall.mean(), abs=1e-12)
    assert metrics["ndcg@20"] == pytest.approx(ndcg.mean(), abs=1e-12)
    per_user = evaluate(model, data, per_user=True)
    np.testing.assert_allclose(per_user["recall@20"], recall, atol=1e-12)
    assert per_user["user"].tolist() == sorted(
        by_user(data[INTERACTS].edge_label_index)
    )


def test_cut_offs_are_those_that_are_asked_for(splits, model):
    names = [f"{name}@{k}" for k in (3, 7) for name in METRICS]
    assert list(evaluate(model, splits[1], ks=[3, 7])) == names
    per_user = evaluate(model, splits[1], ks=[3, 7], per_user=True)
    assert list(per_user) == ["user", *names]
    means = {name: per_user[name].mean() for name in names}
    assert evaluate(model, splits[1], ks=[3, 7]) == pytest.approx(means, rel=1e-12)
    default = {f"{name}@{k}" for k in (10, 20) for name in METRICS}
    assert evaluate(model, splits[1]).keys() == default


def test_a_split_without_interactions_is_refused(splits, model):
    empty = copy.copy(splits[1])
    empty[INTERACTS].edge_label_index = torch.zeros(2, 0, dtype=torch.long)
    text = r"^the split has no interactions - choose another split; a run of --split"
    with pytest.raises(UserError, match=text):
        evaluate(model, empty)


def test_block_size_does_not_matter(splits, model, monkeypatch):
    expected = evaluate(model, splits[2])
    module = sys.modules["mmgraph.train.evaluation"]
    monkeypatch.setattr(module, "RANKED_SCORES", BlockSize(1, 1))
    assert evaluate(model, splits[2]) == expected


def test_recommend_never_returns_a_training_item(splits, model):
    train = splits[0]
    users = torch.arange(train["user"].num_nodes)
    item, score = recommend(model, train, users, k=50)
    history = by_user(train[INTERACTS].edge_index)
    for user, row in enumerate(item.tolist()):
        assert not history.get(user, set()) & set(row)
        assert len(set(row)) == 50
    assert bool((score.diff(dim=1) <= 0).all())


def test_no_users_get_an_empty_table(splits, model):
    none = torch.empty(0, dtype=torch.long)
    item, score = recommend(model, splits[0], none, k=5)
    assert item.shape == score.shape == (0, 5)
    assert item.dtype == torch.long
    assert recommend(model, splits[0], none, k=10**6)[0].shape == (0, 600)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (torch.tensor([0, -1]), "user -1 is not one of the 1000 of the data - give"),
        (torch.tensor([1000]), "user 1000 is not one .* - give indices from 0 to 999"),
        (torch.tensor([1.0]), r"users are torch.float32 of shape \[1\], not \[n\]"),
        (torch.ones(1000, dtype=torch.bool), "users are torch.bool of shape"),
        (
            torch.tensor([[1]]),
            r"users are torch.int64 of shape \[1, 1\], not",
        ),
    ],
)
def test_what_is_no_user_is_named(splits, model, users, message):
    with pytest.raises(UserError, match=message):
        recommend(model, splits[0], users, k=5)


def test_places_without_a_candidate_are_marked(splits, model):
    train = splits[0]
    num_items = train["item"].num_nodes
    item, score = recommend(model, train, torch.tensor([3]), k=num_items)
    seen = len(by_user(train[INTERACTS].edge_index)[3])
    assert int((item == -1).sum()) == seen
    assert bool((score[item == -1] == float("-inf")).all())


def test_training_mode_is_put_back(splits, model):
    model.train()
    evaluate(model, splits[1])
    assert model.training


def test_a_cut_off_beyond_the_catalogue_finds_every_positive(splits, model):
    num_items = splits[1]["item"].num_nodes
    metrics = evaluate(model, splits[1], ks=[num_items, 5_000])
    assert metrics["recall@5000"] == metrics[f"recall@{num_items}"] == 1.0
    ratio = metrics["precision@5000"] / metrics[f"precision@{num_items}"]
    assert ratio == pytest.approx(num_items / 5_000, rel=1e-12)


def test_scores_that_are_not_finite_are_refused(splits):
    model = build_model("MF-BPR", splits[0])
    with torch.no_grad():
        model.item.weight[0, 0] = float("nan")
    text = (
        r"^the model's scores are not finite - train it with a smaller learning rate$"
    )
    with pytest.raises(UserError, match=text):
        evaluate(model, splits[1])


def test_without_memory_the_blocks_shrink_and_the_result_stays(
    splits, model, monkeypatch
):
    expected = evaluate(model, splits[2], per_user=True)
    items = recommend(model, splits[0], torch.arange(300), k=7)
    topk, failed = torch.Tensor.topk, []

    def topk_of_few(tensor, *args, **kwargs):
        if len(tensor) > 100:
            failed.append(len(tensor))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return topk(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "topk", topk_of_few)
    result = evaluate(model, splits[2], per_user=True)
    assert failed
    for name, values in expected.items():
        assert result[name].tolist() == values.tolist(), name
    assert torch.equal(recommend(model, splits[0], torch.arange(300), k=7)[0], items[0])


def test_a_quarter_of_the_memory_changes_nothing(splits, model, monkeypatch):
    module = sys.modules["mmgraph.train.evaluation"]
    full = module.RANKED_SCORES
    expected = evaluate(model, splits[2], per_user=True)
    monkeypatch.setattr(
        module, "RANKED_SCORES", BlockSize(full.cpu // 4, full.gpu // 4)
    )
    for name, values in evaluate(model, splits[2], per_user=True).items():
        assert values.tolist() == expected[name].tolist(), name


def test_a_graph_that_holds_test_edges_is_refused(splits, model):
    test = copy.copy(splits[2])
    store = test[INTERACTS]
    store.edge_index = torch.cat([store.edge_index, store.edge_label_index], dim=1)
    with pytest.raises(UserError) as error:
        evaluate(model, test)
    user, item = min(map(tuple, store.edge_label_index.T.tolist()))
    user, item = str(test["user"].raw_id[user]), str(test["item"].raw_id[item])
    assert str(error.value) == (
        f"user {user!r} and item {item!r} are a positive of the split and a training "
        "edge - pass messages along training edges only"
    )
    with pytest.raises(UserError, match="a positive of the split and a training edge"):
        evaluate(model, splits[0])


def test_a_model_of_another_catalogue_is_refused(splits, model):
    *small, _ = synthetic(num_users=30, num_items=40)
    message = "the model has 1000 users, the data have 30 - build the model for these"
    with pytest.raises(UserError, match=message):
        evaluate(model, small[2])
    with pytest.raises(UserError, match=message):
        recommend(model, small[0], torch.tensor([0]), k=3)


@pytest.mark.parametrize("ks", [(), (0,), (-1,), 20, None, (5, 5), (2.5,)])
def test_cut_offs_that_mean_nothing_are_refused(ks):
    train, _, test, _ = synthetic(num_users=30, num_items=40)
    with pytest.raises(UserError, match="evaluate: 'ks' must be"):
        evaluate(build_model("MF-BPR", train), test, ks=ks)


def test_a_huge_cut_off_takes_no_memory(splits, model):  # of 600 items
    values = evaluate(model, splits[2], ks=[600, 10**12])
    for name in ("recall", "ndcg", "map", "hit", "mrr"):
        assert values[f"{name}@{10**12}"] == values[f"{name}@600"]
    share = values[f"precision@{10**12}"] / values["precision@600"]
    assert share == pytest.approx(600 / 10**12)
    by_user = evaluate(model, splits[2], ks=[600, 10**12], per_user=True)
    assert {name: by_user[name].mean() for name in values} == pytest.approx(values)


@pytest.fixture
def small_tiles(monkeypatch):
    """600 items are many then, and k may be up to 8."""
    for name in ("mmgraph.train.evaluation", "mmgraph.functional.recommend.tiles"):
        monkeypatch.setattr(sys.modules[name], "RANKED_TILE", 64)


@pytest.mark.parametrize("ties", ["none", "twins", "all but the best", "all"])
@pytest.mark.parametrize("scores_at_once", [600 * 5, 2**20])
def test_tiles_rank_as_whole_rows_do(
    splits, monkeypatch, request, ties, scores_at_once
):
    torch.manual_seed(1)
    model = build_model("MF-BPR", splits[0])
    with torch.no_grad():
        if ties == "twins":
            model.item.weight[300:] = model.item.weight[:300]
        elif ties != "none":
            model.user.weight.fill_(1)
            model.item.weight.fill_(1)
            model.item.weight[599] = 1 if ties == "all" else 2
    users = torch.arange(997)
    module = sys.modules["mmgraph.train.evaluation"]
    size = BlockSize(scores_at_once, scores_at_once)
    monkeypatch.setattr(module, "RANKED_SCORES", size)
    item, score = recommend(model, splits[0], users, k=7)
    request.getfixturevalue("small_tiles")
    called, best_in_tiles = [], module.best_in_tiles

    def counted(*args):
        called.append(len(args[0]))
        return best_in_tiles(*args)

    monkeypatch.setattr(module, "best_in_tiles", counted)
    in_tiles = recommend(model, splits[0], users, k=7)
    assert sum(called) == 997
    assert torch.equal(in_tiles[0], item)
    assert torch.equal(in_tiles[1], score)


def test_a_model_that_scores_in_its_own_way_gets_whole_rows(splits, small_tiles):
    class Biased(type(build_model("MF-BPR", splits[0]))):
        def score(self, z_user, z_item):
            return z_user @ z_item.t() + torch.arange(600)

    model = Biased.from_data(splits[0])
    item, _ = recommend(model, splits[0], torch.tensor([0]), k=1)
    seen = by_user(splits[0][INTERACTS].edge_index)[0]
    assert int(item) == max(set(range(600)) - seen)


def test_scores_that_are_not_finite_are_refused_in_tiles(splits, small_tiles):
    model = build_model("MF-BPR", splits[0])
    with torch.no_grad():
        model.item.weight[599, 0] = float("nan")
    with pytest.raises(UserError, match="the model's scores are not finite"):
        recommend(model, splits[0], torch.arange(9), k=3)


def test_training_edges_are_sorted_once_until_they_change(splits, monkeypatch):
    module = sys.modules["mmgraph.train.evaluation"]
    valid = copy.copy(splits[1])
    valid[INTERACTS].edge_index = valid[INTERACTS].edge_index.clone()
    model, sorted_edges = build_model("MF-BPR", splits[0]), []
    bipartite = module.Adjacency.bipartite

    def counted(*args):
        sorted_edges.append(args)
        return bipartite(*args)

    monkeypatch.setattr(module.Adjacency, "bipartite", counted)
    first = evaluate(model, valid)
    assert evaluate(model, valid) == first
    assert len(sorted_edges) == 1
    valid[INTERACTS].edge_index[:, 0] = valid[INTERACTS].edge_label_index[:, 0]
    with pytest.raises(UserError, match="a positive of the split and a training edge"):
        evaluate(model, valid)


@pytest.mark.parametrize("num_scores", [1, 200])
def test_processes_share_the_users(launch, monkeypatch, tmp_path, num_scores):
    """Each metric is that of one process, whoever ranked which user."""
    module = sys.modules["mmgraph.train.evaluation"]
    monkeypatch.setattr(module, "RANKED_SCORES", module.RANKED_SCORES)  # put back
    evaluate_and_keep(str(tmp_path / "one"), num_scores)
    outputs = launch(3, evaluate_and_keep, str(tmp_path / "of"), num_scores).outputs()
    assert [code for code, *_ in outputs] == [0, 0, 0], outputs
    expected = (tmp_path / "one-0").read_text()
    assert [(tmp_path / f"of-{rank}").read_text() for rank in range(3)] == [
        expected
    ] * 3


@pytest.mark.parametrize(
    ("seeds", "ks", "said"),
    [([0, 1], [5, 5], "has weights '"), ([0, 0], [5, 6], "process 1 has ks [6], ")],
)
def test_processes_do_not_mix_models_or_cut_offs(launch, seeds, ks, said):
    outputs = launch(2, evaluate_differing, seeds, ks).outputs()
    for code, out, err in outputs:
        assert code == 0, err
        assert said in out
        assert "start all processes with the same command, data and versions" in out
