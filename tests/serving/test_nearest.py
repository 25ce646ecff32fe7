from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mmgraph.bench.run_directory import load_run
from mmgraph.errors import UserError
from mmgraph.serving import nearest
from mmgraph.serving.nearest import proposals_of, share_found
from mmgraph.serving.service import service_of


@pytest.fixture(scope="module")
def services(vbpr):
    pytest.importorskip("faiss")
    run = load_run(vbpr)
    return service_of(run), service_of(run, approximate=True)


def test_an_index_finds_what_a_loop_counts():
    pytest.importorskip("faiss")
    draw = torch.Generator().manual_seed(0)
    item = torch.randn(3000, 8, generator=draw)
    vectors = torch.randn(40, 8, generator=draw)
    propose = proposals_of(item)
    hits = []
    for vector in vectors:
        best = set((item @ vector).argsort(descending=True)[:20].tolist())
        found = propose(vector, 20)
        assert len(found) == len(set(found.tolist())) == 20
        hits.append(len(best & set(found.tolist())) / 20)
    share = share_found(propose, vectors, item)
    assert share == pytest.approx(sum(hits) / len(hits))
    assert share > 0.95
    assert len(propose(vectors[0], 10**6)) <= 3000


def test_vectors_of_zeros_are_not_counted():
    item = torch.eye(30)

    def propose(vector, count):
        assert vector.any()
        return (item @ vector).topk(count).indices

    vectors = torch.zeros(4, 30)
    vectors[2] = torch.arange(30)
    assert share_found(propose, vectors, item) == 1.0
    assert share_found(propose, vectors[:2], item) == 1.0


def test_answers_are_those_of_all_scores_where_all_are_found(services):
    exact, approximate = services
    assert exact.found is None
    assert approximate.found > 0.95

    def all_found(vector, count):
        score = exact.vectors.item @ vector
        return score.topk(min(count, len(score))).indices

    approximate = replace(approximate, nearest=all_found)
    raw = exact.vectors.item_ids.tolist()
    choices = [
        {},
        {"include_seen": True},
        {"deny": raw[:100]},
        {"allow": raw[5:50], "deny": raw[:20]},
    ]
    for user in exact.vectors.user_ids[[0, 300, 999]].tolist():
        for choice in choices:
            expected = exact.recommend(user, 12, **choice)
            found = approximate.recommend(user, 12, **choice)
            assert [one.item_id for one in found] == [one.item_id for one in expected]
            assert [one.score for one in found] == pytest.approx(
                [one.score for one in expected], rel=1e-5
            )
        history = raw[3:9]
        found, expected = (s.recommend_for(history, 9) for s in (approximate, exact))
        assert [one.item_id for one in found] == [one.item_id for one in expected]


def test_where_too_little_is_proposed_all_items_are_scored(services, monkeypatch):
    exact, approximate = services
    user = exact.vectors.user_ids[7]
    monkeypatch.setattr(
        approximate, "nearest", lambda vector, count: torch.tensor([1, 2])
    )
    found, expected = (s.recommend(user, 600) for s in (approximate, exact))
    assert found == expected
    assert len(found) < 600  # all that are left


def test_without_faiss_it_is_one_line(monkeypatch):
    monkeypatch.setattr(nearest, "import_faiss", lambda: None)
    message = "needs FAISS, which is not installed - pip install .* without --approx"
    with pytest.raises(UserError, match=message):
        proposals_of(torch.ones(2, 2))
