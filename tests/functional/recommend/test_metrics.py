from __future__ import annotations

import math
import re

import pytest
import torch
from torch_geometric.metrics import (
    LinkPredHitRatio,
    LinkPredMAP,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)

from mmgraph.functional import ranking_metrics

KS = [1, 3, 10]
PYG = {
    "recall": LinkPredRecall,
    "ndcg": LinkPredNDCG,
    "precision": LinkPredPrecision,
    "map": LinkPredMAP,
    "hit": LinkPredHitRatio,
    "mrr": LinkPredMRR,
}


def lists(users=60, items=40, top=12):
    """Random top lists, positives per user, and the hits between them."""
    ranked = torch.stack([torch.randperm(items)[:top] for _ in range(users)])
    size = torch.randint(1, 20, (users,))
    positives = [torch.randperm(items)[:n].tolist() for n in size.tolist()]
    hits = torch.tensor(
        [
            [item in wanted for item in row]
            for row, wanted in zip(ranked.tolist(), positives, strict=True)
        ]
    )
    return ranked, positives, hits, size


def slow(hits: list[bool], num_positives: int, k: int) -> dict[str, float]:
    found, gain, precisions, reciprocal = 0, 0.0, 0.0, 0.0
    for rank, hit in enumerate(hits[:k], start=1):
        if hit:
            found += 1
            gain += 1 / math.log2(rank + 1)
            precisions += found / rank
            reciprocal = reciprocal or 1 / rank
    best = sum(1 / math.log2(r + 1) for r in range(1, min(k, num_positives) + 1))
    return {
        f"recall@{k}": found / num_positives,
        f"ndcg@{k}": gain / best,
        f"precision@{k}": found / k,
        f"map@{k}": precisions / min(k, num_positives),
        f"hit@{k}": float(found > 0),
        f"mrr@{k}": reciprocal,
    }


def test_every_user_equals_the_slow_loop():
    _, _, hits, size = lists()
    values = ranking_metrics(hits, size, KS, per_user=True)
    means = ranking_metrics(hits, size, KS)
    for k in KS:
        rows = [
            slow(h, n, k) for h, n in zip(hits.tolist(), size.tolist(), strict=True)
        ]
        for key in rows[0]:
            column = [row[key] for row in rows]
            assert values[key].dtype == torch.float64
            assert values[key].tolist() == pytest.approx(column, rel=1e-12)
            assert means[key] == pytest.approx(sum(column) / len(column), rel=1e-12)
    assert len(values) == len(means) == 6 * len(KS)


@pytest.mark.parametrize("name", PYG)
@pytest.mark.parametrize("k", KS)
def test_means_equal_those_of_pyg(name, k):
    ranked, positives, hits, size = lists()
    metric = PYG[name](k)
    user = [u for u, wanted in enumerate(positives) for _ in wanted]
    item = [i for wanted in positives for i in wanted]
    metric.update(ranked, torch.tensor([user, item]))
    actual = ranking_metrics(hits, size, [k])[f"{name}@{k}"]
    assert actual == pytest.approx(float(metric.compute()), rel=1e-6)


def test_perfect_list_scores_one_and_empty_list_zero():
    size = torch.tensor([3, 3])
    hits = torch.tensor([[True, True, True, False], [False] * 4])
    values = ranking_metrics(hits, size, [4], per_user=True)
    for name in ("recall", "ndcg", "map", "hit", "mrr"):
        assert values[f"{name}@4"].tolist() == [1.0, 0.0]
    assert values["precision@4"].tolist() == [0.75, 0.0]


def test_more_positives_than_ranks():
    hits = torch.ones(1, 2, dtype=torch.bool)
    values = ranking_metrics(hits, torch.tensor([50]), [2])
    assert values["recall@2"] == pytest.approx(2 / 50, rel=1e-12)
    assert values["ndcg@2"] == values["map@2"] == 1


def test_errors_name_the_value():
    hits, size = torch.zeros(2, 3, dtype=torch.bool), torch.tensor([1, 2])
    with pytest.raises(ValueError, match=r"'ks' must be in \[1, 3\] \(got \[5\]\)"):
        ranking_metrics(hits, size, [5])
    for ks in ([], [0], [1, 0], [2, 4]):
        with pytest.raises(
            ValueError, match=rf"in \[1, 3\] \(got {re.escape(str(ks))}"
        ):
            ranking_metrics(hits, size, ks)
    text = r"^'hits' must be \[U, K\] and .* \[U\] \(got \[2, 3\] and \[3\]\)$"
    with pytest.raises(ValueError, match=text):
        ranking_metrics(hits, torch.ones(3), [1])
    with pytest.raises(ValueError, match=r"\(got \[3\] and \[2\]\)"):
        ranking_metrics(hits[0], size, [1])
    text = r"^every user needs at least one positive \(got one with 0\)$"
    with pytest.raises(ValueError, match=text):
        ranking_metrics(hits, torch.tensor([1, 0]), [1])
    with pytest.raises(ValueError, match=r"^there must be .* one user \(got 0\)$"):
        ranking_metrics(hits[:0], size[:0], [1])


def test_runs_on_the_device(device):
    _, _, hits, size = lists()
    expected = ranking_metrics(hits, size, KS)
    actual = ranking_metrics(hits.to(device), size.to(device), KS)
    assert actual == pytest.approx(expected, rel=1e-12)


def test_cut_offs_beyond_all_items_equal_ranks_without_hits():
    _, _, hits, _ = lists(items=12, top=12)
    hits = hits[hits.any(dim=1)]
    size = hits.sum(dim=1)  # of a whole catalogue every positive is found
    for per_user in (False, True):
        values = ranking_metrics(
            hits, size, [5, 12, 90], per_user=per_user, complete=True
        )
        longer = torch.cat([hits, torch.zeros(len(hits), 78, dtype=bool)], dim=1)
        expected = ranking_metrics(longer, size, [5, 12, 90], per_user=per_user)
        assert values.keys() == expected.keys()
        assert all(
            torch.equal(*map(torch.as_tensor, pair))
            for pair in zip(values.values(), expected.values(), strict=True)
        )
    with pytest.raises(ValueError, match=r"there are more positives than items \(12\)"):
        ranking_metrics(hits, size + 12, [5], complete=True)
