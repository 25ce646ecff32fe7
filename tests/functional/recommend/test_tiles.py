from __future__ import annotations

import pytest
import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend import tiles
from mmgraph.functional.recommend.tiles import best_in_tiles
from mmgraph.functional.recommend.unseen import mask_seen


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(0)
    user = torch.randn(9, 4, generator=generator)
    item = torch.randn(50, 4, generator=generator)
    edges = torch.stack(
        [
            torch.randint(9, (60,), generator=generator),
            torch.randint(50, (60,), generator=generator),
        ]
    ).unique(dim=1)
    return user, item, Adjacency.bipartite(edges, 9, 50)


@pytest.mark.parametrize("tile", [1, 7, 50, 8192])
@pytest.mark.parametrize("k", [1, 6, 50])
def test_equals_the_whole_rows(embeddings, monkeypatch, tile, k):
    user, item, history = embeddings
    monkeypatch.setattr(tiles, "RANKED_TILE", tile)
    users = torch.tensor([3, 0, 8])
    score, found = best_in_tiles(user[users], item, history.rows(users), k)
    whole = user[users] @ item.t()
    mask_seen(whole, history, users)
    best, expected = whole.topk(k, dim=1)
    assert torch.allclose(score, best)
    assert found.dtype == torch.int64
    left = best > float("-inf")
    assert found[left].tolist() == expected[left].tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_comes_first(embeddings, monkeypatch, value):
    user, item, history = embeddings
    monkeypatch.setattr(tiles, "RANKED_TILE", 7)
    unseen = next(i for i in range(49, 0, -1) if i not in history.rows(U0).col.tolist())
    item[unseen] = 0
    item[unseen, 0] = value * user[0, 0].sign()
    score, found = best_in_tiles(user[:1], item, history.rows(U0), 3)
    assert int(found[0, 0]) == unseen
    assert not bool(score[0, 0].isfinite())


def test_a_user_who_has_seen_everything_has_no_score():
    seen = Adjacency.bipartite(torch.tensor([[0, 0], [0, 1]]), 1, 2)
    score, _ = best_in_tiles(torch.ones(1, 2), torch.ones(2, 2), seen, 2)
    assert score.tolist() == [[float("-inf")] * 2]


U0 = torch.tensor([0])
