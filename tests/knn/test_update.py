from __future__ import annotations

import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import delete, insert, knn_graph, update
from mmgraph.knn.metric import self_products

METRICS = ["cosine", "ip", "l2"]
MANY = settings(max_examples=int(os.environ.get("MMGRAPH_EXAMPLES", "40")))


def assert_same(got, want):
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])


@st.composite
def tables(draw):
    """Small integers, so that ties, equal rows and zero rows are the rule."""
    num_rows, dim = draw(st.integers(0, 16)), draw(st.integers(1, 3))
    row = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim)
    rows = draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    return torch.tensor(rows, dtype=torch.float32).reshape(num_rows, dim)


@MANY
@given(
    x=tables(),
    share=st.floats(0, 1),
    k=st.integers(1, 8),
    metric=st.sampled_from(METRICS),
    include_self=st.booleans(),
)
def test_insert_equals_a_new_build(x, share, k, metric, include_self):
    options = {"metric": metric, "include_self": include_self}
    num_new = int(share * len(x))
    old = knn_graph(x[: len(x) - num_new], k, **options)
    assert_same(
        insert(*old, x, k, num_new=num_new, **options), knn_graph(x, k, **options)
    )


@MANY
@given(
    x=tables(),
    chosen=st.lists(st.integers(0, 15), max_size=6),
    k=st.integers(1, 8),
    metric=st.sampled_from(METRICS),
    include_self=st.booleans(),
)
def test_delete_equals_a_new_build(x, chosen, k, metric, include_self):
    options = {"metric": metric, "include_self": include_self}
    rows = torch.tensor([i for i in chosen if i < len(x)], dtype=torch.long)
    stays = torch.ones(len(x), dtype=torch.bool)
    stays[rows] = False
    got = delete(*knn_graph(x, k, **options), x, k, rows=rows, **options)
    assert_same(got, knn_graph(x[stays], k, **options))


@pytest.mark.parametrize("metric", METRICS)
def test_real_values_over_several_tiles(metric, monkeypatch):
    monkeypatch.setattr(update, "TILE_HEIGHT", BlockSize(16, 16))
    monkeypatch.setattr(update, "TILE_WIDTH", BlockSize(64, 64))
    x = torch.randn(300, 12) + 1
    x[[5, 250, 290]] = 0
    x[280:288] = x[3]
    x[295] = 4 * x[7]
    want = knn_graph(x, 6, metric=metric)
    old = knn_graph(x[:240], 6, metric=metric)
    assert_same(insert(*old, x, 6, num_new=60, metric=metric), want)
    rows = torch.arange(240, 300)
    assert_same(delete(*want, x, 6, rows=rows, metric=metric), old)


@pytest.mark.parametrize("metric", METRICS)
def test_only_lists_that_may_change_are_ranked_again(metric, monkeypatch):
    """An item far from all others changes no list, and no old pair is scored."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(200, 20, generator=generator).abs()
    x[-1] = -x[-1]
    scored = []

    def counting(x, row, col, **options):
        scored.extend(row.tolist())
        return plain(x, row, col, **options)

    plain = self_products.pair_similarity
    old = knn_graph(x[:-1], 5, metric=metric)
    monkeypatch.setattr(self_products, "pair_similarity", counting)
    got = insert(*old, x, 5, num_new=1, metric=metric)
    assert set(scored) == {199}
    assert_same((got[0][:, :-5], got[1][:-5]), old)


def test_a_graph_of_other_features_is_refused():
    x = torch.randn(20, 3)
    graph = knn_graph(x, 4)
    with pytest.raises(
        ValueError, match=r"not 3 neighbours for each of the 15 rows .* with this k\?$"
    ):
        insert(*graph, x, 3, num_new=5)
    with pytest.raises(ValueError, match="not 4 neighbours for each of the 19 rows"):
        delete(*graph, x[:19], 4, rows=torch.tensor([0]))
    with pytest.raises(ValueError, match="must be among the 20 of the graph"):
        delete(*graph, x, 4, rows=torch.tensor([20]))
    x[2, 0] = torch.nan
    with pytest.raises(ValueError, match="finite: row 2 holds NaN"):
        insert(*graph, x, 4, num_new=0)


def test_bad_options_are_named():
    x = torch.randn(6, 3)
    graph = knn_graph(x, 2)
    for change in (
        lambda **o: insert(*graph, x, num_new=0, **o),
        lambda **o: delete(*graph, x, rows=torch.tensor([0]), **o),
    ):
        with pytest.raises(ValueError, match=r"k'? must be .* \(got 0\)"):
            change(k=0)
        with pytest.raises(ValueError, match=r"metric'? must be .* \(got 'dot'\)"):
            change(k=2, metric="dot")


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_of_the_features_does_not_matter_to_cosine(scale):
    x = scale * torch.randn(30, 4)
    want = knn_graph(x, 3)
    old = knn_graph(x[:20], 3)
    assert_same(insert(*old, x, 3, num_new=10), want)
    assert_same(delete(*want, x, 3, rows=torch.arange(20, 30)), old)
