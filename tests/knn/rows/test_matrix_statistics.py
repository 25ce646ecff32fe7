from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import knn_graph
from mmgraph.knn.digest import feature_digest
from mmgraph.knn.metric.products import metric_products
from mmgraph.knn.rows import matrix_statistics as module
from mmgraph.knn.rows.matrix_statistics import matrix_statistics
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.rows.row_norms import row_norms
from mmgraph.knn.rows.row_source import RowSource


def features():
    x = torch.randn(40, 6) + 1
    x[3] = x[20] = 0
    return x


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_pieces_give_what_the_whole_gives(metric, monkeypatch):
    x = features()
    monkeypatch.setattr(module, "READ", BlockSize(6 * 7, 1))
    statistics = matrix_statistics(RowSource(x), metric, hashed=True)
    assert torch.equal(statistics.norm, row_norms(x))
    assert statistics.sha256 == feature_digest(x.numpy())
    kept = x[statistics.norm > 0].double()
    mean = kept.mean(0)
    radius = float((kept - mean).norm(dim=1).max())
    scale = {"cosine": 1.0, "ip": float(kept.norm(dim=1).max()), "l2": radius}[metric]
    products = metric_products(RowSource(x), statistics, metric)
    assert products.scale == pytest.approx(scale, rel=1e-12)
    want = mean if metric == "l2" else torch.zeros(6).double()
    torch.testing.assert_close(statistics.centre, want, rtol=1e-12, atol=1e-15)


def sha256(x, **policies):
    return matrix_statistics(RowSource(x), "cosine", hashed=True, **policies).sha256


def test_the_digest_tells_types_and_values_apart():
    x = features().numpy()
    digests = {
        matrix_statistics(RowSource(x.astype(t)), "cosine", hashed=True).sha256
        for t in ("f2", "f4")
    }
    changed = x.astype("f8")
    digests.add(sha256(changed))
    changed[5, 2] *= 1 + 1e-12  # less than float32 can tell
    digests.add(sha256(changed))
    assert len(digests) == 4
    swapped = x.astype(">f4")
    assert matrix_statistics(
        RowSource(swapped), "cosine", hashed=True
    ).sha256 == feature_digest(x)


def test_norms_out_of_range_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"1e15: rescale the features \(got 1\.73"):
        matrix_statistics(RowSource(np.full((2, 3), 1e20)), "l2")
    x = np.ones((9, 2))
    x[7, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "far.npy", np.full((2, 3), 1e20))
    with pytest.raises(UserError, match=r"far\.npy: .*1\.73e\+20\) - divide all val"):
        matrix_statistics(RowSource(tmp_path / "far.npy"), "ip")
    with pytest.raises(
        UserError, match=r"x\.npy: .* row 7 holds NaN or infinity - mend"
    ):
        matrix_statistics(RowSource(tmp_path / "x.npy"), "cosine")


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_rows_that_take_no_part_leave_the_statistics_of_the_others(metric, monkeypatch):
    monkeypatch.setattr(module, "READ", BlockSize(6 * 7, 1))
    x = features().double()
    x[5], x[17, 2] = torch.nan, torch.inf
    x[30] = 1e200  # finite, but its length is not
    x[[8, 25]] = x[1].clone()
    x[34] = x[20]  # a second zero row is no copy
    statistics = matrix_statistics(
        RowSource(x), metric, nan="isolate", duplicates="collapse", hashed=True
    )
    left_out = [3, 5, 8, 17, 20, 25, 30, 34]
    stays = torch.tensor([row not in left_out for row in range(40)])
    assert torch.equal(statistics.norm > 0, stays)
    assert torch.equal(statistics.norm[stays], row_norms(x[stays]))
    assert (statistics.zero_rows, statistics.nan_rows, statistics.collapsed_rows) == (
        3,
        3,
        2,
    )
    assert (
        statistics.sha256
        == matrix_statistics(RowSource(x), metric, nan="isolate", hashed=True).sha256
    )
    stays[[8, 25]] = True
    want = matrix_statistics(RowSource(x[stays]), metric)
    torch.testing.assert_close(statistics.centre, want.centre, rtol=1e-12, atol=1e-15)
    scale = metric_products(RowSource(x), statistics, metric).scale
    want_scale = metric_products(RowSource(x[stays]), want, metric).scale
    assert scale == pytest.approx(want_scale, rel=1e-12)


def test_a_row_of_zeros_may_be_refused_wherever_it_is(monkeypatch):
    monkeypatch.setattr(module, "READ", BlockSize(6 * 7, 1))
    x = features()
    x[3] = 1.0  # row 20 is left, in the third piece
    with pytest.raises(ValueError, match=r"^row 20 is zero$"):
        matrix_statistics(RowSource(x), "cosine", zero="refuse")
    x[20], x[9, 2] = 1.0, torch.nan  # a row that is not finite is none of zeros
    statistics = matrix_statistics(RowSource(x), "cosine", nan="isolate", zero="refuse")
    assert (statistics.zero_rows, statistics.nan_rows) == (0, 1)


@pytest.mark.parametrize(
    ("value", "policy", "what"),
    [(0.0, "zero", "row 2 is zero"), (np.nan, "nan", "row 2 holds NaN or infinity")],
)
def test_a_refused_row_of_a_file_comes_with_its_remedy(tmp_path, value, policy, what):
    x = np.ones((4, 2))
    x[2] = value
    np.save(tmp_path / "x.npy", x)
    text = (
        rf"x\.npy: .*{what} - mend it, or isolate such rows: "
        rf"{policy}='isolate' or --{policy} isolate$"
    )
    with pytest.raises(UserError, match=text):
        matrix_statistics(RowSource(tmp_path / "x.npy"), "ip", **{policy: "refuse"})


def test_unknown_policies_are_named_before_anything_is_read():
    with pytest.raises(ValueError, match=r"'nan' must be one of .* \(got 'drop'\)"):
        matrix_statistics(None, "ip", nan="drop")
    with pytest.raises(ValueError, match=r"'duplicates' must be .* \(got 'no'\)"):
        matrix_statistics(None, "ip", duplicates="no")
    with pytest.raises(ValueError, match=r"'zero' must be .* \(got 'drop'\)"):
        matrix_statistics(None, "ip", zero="drop")


def kinds_of_rows():
    rows = "1 2, 0 0, 3 1, 1 2, nan 0, 1 2, inf 1, 3 1, 5 5"
    return torch.tensor([[float(v) for v in row.split()] for row in rows.split(",")])


def test_every_kind_of_row_is_counted():
    x = kinds_of_rows()
    for source in (x, RowSource(x)):
        statistics = matrix_statistics(source, "cosine", nan="isolate")
        assert statistics.sha256 == ""  # nobody asked
        assert statistics.row.tolist() == [0, 2, 3, 5, 7, 8]
        assert (statistics.zero_rows, statistics.nan_rows) == (1, 2)
        assert statistics.collapsed_rows == 0
        assert statistics.norm.tolist()[:2] == [math.sqrt(5), 0.0]
        options = {"nan": "isolate", "duplicates": "collapse"}
        statistics = matrix_statistics(source, "cosine", **options)
        assert statistics.row.tolist() == [0, 2, 8]
        assert statistics.collapsed_rows == 3
    groups = RowGroups.find(x, torch.tensor([0, 2, 3, 5, 7, 8]))
    assert groups.group.tolist() == [0, 1, 0, 0, 1, 2]
    assert groups.first.tolist() == [0, 2, 8]
    assert (groups.size > 1).sum() == 2


def test_isolated_rows_leave_the_graph_of_the_others():
    x = kinds_of_rows()
    usable = [0, 2, 3, 5, 7, 8]
    edge_index, similarity = knn_graph(x, 3, nan="isolate")
    want_index, want_similarity = knn_graph(x[usable], 3)
    assert torch.equal(edge_index, torch.tensor(usable)[want_index])
    assert torch.equal(similarity, want_similarity)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("backend", ["torch", "faiss"])
def test_collapsed_copies_leave_the_graph_of_the_distinct_rows(metric, backend):
    if backend == "faiss":
        pytest.importorskip("faiss", reason="this way of searching is FAISS itself")
    options = {"metric": metric, "backend": backend}
    x = kinds_of_rows()
    distinct = [0, 2, 8]
    edge_index, similarity = knn_graph(
        x, 3, nan="isolate", duplicates="collapse", **options
    )
    want_index, want_similarity = knn_graph(x[distinct], 3, **options)
    assert torch.equal(edge_index, torch.tensor(distinct)[want_index])
    assert torch.equal(similarity, want_similarity)


def test_a_refused_row_of_a_tensor_is_named():
    with pytest.raises(ValueError, match="finite: row 4 holds NaN or infinity"):
        matrix_statistics(kinds_of_rows(), "cosine")
