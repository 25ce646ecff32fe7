"""Options of ``knn build``: weights, symmetry, policies, reports."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

from mmgraph.errors import UserError
from mmgraph.knn import edge_weights, knn_graph, symmetrise


def test_weights_and_symmetry_reach_every_format(tmp_path, knn, x):
    ids = np.array([f"i{n:02d}" for n in range(60)])
    np.savez(tmp_path / "a.npz", features=x, ids=ids)
    options = ("--k", 4, "--weights", "symmetric", "--symmetrise", "union")
    for suffix in ("pt", "npz", "parquet"):
        knn("build", tmp_path / "a.npz", *options, "--out", tmp_path / f"g.{suffix}")
    edge_index, similarity = symmetrise(*knn_graph(x, 4), 60, "union")
    weight = edge_weights(edge_index, similarity, 60, "symmetric")
    store = torch.load(tmp_path / "g.pt", weights_only=True)[
        "item", "similar_a", "item"
    ]
    assert torch.equal(store["edge_index"], edge_index)
    assert torch.equal(store["edge_sim"], similarity)
    assert torch.equal(store["edge_weight"], weight)
    matrix = sparse.load_npz(tmp_path / "g.npz").toarray()
    np.testing.assert_array_equal(matrix[edge_index[1], edge_index[0]], weight)
    assert (matrix != 0).sum() == len(weight)
    table = pq.read_table(tmp_path / "g.parquet").to_pydict()
    assert list(table) == ["centre", "neighbour", "similarity", "weight"]
    assert table["centre"] == ids[edge_index[1]].tolist()
    assert table["neighbour"] == ids[edge_index[0]].tolist()
    assert table["similarity"] == similarity.tolist()


def test_edge_list_of_two_modalities_names_them(tmp_path, knn, x):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", x)
    files = (tmp_path / "a.npy", tmp_path / "b.npy")
    result = knn("build", *files, "--k", 2, "--out", tmp_path / "g.parquet")
    table = pq.read_table(tmp_path / "g.parquet").to_pydict()
    assert table["modality"] == ["a"] * 118 + ["b"] * 118
    assert table["neighbour"][:118] == knn_graph(x, 2)[0][0].tolist()
    assert result["overlap"] == [
        {"modalities": ["a", "b"], "value": 1.0, "expected": 2 / 59}
    ]


def test_rows_of_every_kind_are_counted(tmp_path, knn, x):
    x[30, 2] = np.nan
    np.savez(tmp_path / "a.npz", features=x, ids=np.arange(60))
    np.savez(tmp_path / "b.npz", features=x[:20, :3], ids=np.arange(20))
    files = (tmp_path / "a.npz", tmp_path / "b.npz")
    options = ("--nan", "isolate", "--duplicates", "collapse")
    result = knn("build", *files, "--k", 3, *options, "--out", tmp_path / "g.pt")
    keys = ("zero_rows", "missing_rows", "nan_rows", "duplicate_groups")
    keys += ("collapsed_rows", "isolated_rows")
    a, b = ([result["graphs"][name][key] for key in keys] for name in ("a", "b"))
    assert a == [1, 0, 1, 2, 4, 6]
    assert b == [1, 40, 0, 1, 2, 43]
    graphs = torch.load(tmp_path / "g.pt", weights_only=True)
    want = knn_graph(x, 3, nan="isolate", duplicates="collapse")
    store = graphs["item", "similar_a", "item"]
    assert torch.equal(store["edge_index"], want[0])


def test_policies_that_refuse_name_the_row(tmp_path, knn, x):
    np.save(tmp_path / "a.npy", x)
    words = ("build", tmp_path / "a.npy", "--out", tmp_path / "g.pt")
    cases = [
        (("--zero", "refuse"), r"a\.npy: row 7 .* is zero - leave the row out"),
        (("--zero", "drop"), r"'zero' must be one of .* \(got 'drop'\)"),
        (("--nan", "drop"), r"'nan' must be one of .* \(got 'drop'\)"),
        (("--weights", "one"), r"'weights' must be one of .* \(got 'one'\)"),
        (("--symmetrise", "or"), r"'symmetrise' must be one of .* \(got 'or'\)"),
        (("--report", tmp_path / "r.txt"), r"'r\.txt' - name it \.json or \.html"),
    ]
    for options, message in cases:
        with pytest.raises(UserError, match=message):
            knn(*words, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
