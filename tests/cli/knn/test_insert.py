from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.data import read_graph
from mmgraph.errors import UserError
from mmgraph.knn import knn_graph
from mmgraph.knn.digest import graph_digest


def save(path, x, ids):
    if ids is None:
        np.save(path.with_suffix(".npy"), x)
        return path.with_suffix(".npy")
    np.savez(path.with_suffix(".npz"), features=x, ids=ids)
    return path.with_suffix(".npz")


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("ids", [None, np.array([f"i{n:02d}" for n in range(60)])])
def test_two_inserts_equal_one_build(tmp_path, knn, x, ids, metric):
    def part(name, start, stop):
        known = None if ids is None else ids[start:stop]
        return save(tmp_path / name, x[start:stop], known)

    options = ("--k", 5, "--metric", metric)
    whole = knn("build", part("all", 0, 60), *options, "--out", tmp_path / "w.pt")
    graph = tmp_path / "g.pt"
    knn("build", part("old", 0, 50), *options, "--out", graph)
    knn("insert", graph, "--features", part("new", 50, 55), "--out", graph)
    last = part("last", 55, 60)
    result = knn("insert", graph, "--features", last, "--out", graph)["graphs"]["old"]
    for key in ("graph_sha256", "input_sha256", "num_nodes", "num_edges"):
        assert result[key] == whole[key]
    assert result["num_new"] == 5
    got, want = (torch.load(p, weights_only=True) for p in (graph, tmp_path / "w.pt"))
    assert got["item"] == want["item"]
    assert knn("info", graph)["graphs"]["old"]["intact"]


def test_an_insert_between_known_ids_goes_behind_them(tmp_path, knn, x):
    """The graph is that of a build of all rows in the order of its items."""
    ids = np.random.default_rng(1).permutation(60)
    graph = tmp_path / "g.pt"
    knn("build", save(tmp_path / "old", x[:50], ids[:50]), "--k", 5, "--out", graph)
    new = save(tmp_path / "new", x[50:], ids[50:].astype(str))
    result = knn("insert", graph, "--features", new, "--out", graph)
    order = [*np.argsort(ids[:50]), *(50 + np.argsort(ids[50:].astype(str)))]
    assert result["graph_sha256"] == graph_digest(*knn_graph(x[order], 5))
    assert read_graph(graph).ids == ids[order].astype(str).tolist()
    files = ("--features", save(tmp_path / "all", x, ids))
    assert knn("verify", graph, *files, "--rows", 0)["wrong_rows"] == 0


def test_inserts_follow_files_with_and_without_ids(tmp_path, knn, x):
    ids = np.arange(60)
    whole = knn("build", save(tmp_path / "w", x, None), "--out", tmp_path / "w.pt")
    old = save(tmp_path / "a", x[:50], None), save(tmp_path / "b", x[:50], ids[:50])
    graph = tmp_path / "g.pt"
    knn("build", *old, "--out", graph)
    for start, stop in ((50, 55), (55, 60)):
        folder = tmp_path / f"from{start}"
        folder.mkdir()
        rows, back = slice(start, stop), slice(stop - 1, start - 1, -1)
        new = (
            save(folder / "b", x[rows], ids[rows]),
            save(folder / "a", x[back], ids[back]),
        )
        words = [word for path in new for word in ("--features", path)]
        grown = knn("insert", graph, *words, "--out", graph)["graphs"]
    for name in ("a", "b"):
        assert grown[name]["graph_sha256"] == whole["graph_sha256"]


def test_nan_rows_stay_isolated_and_weights_are_made_anew(tmp_path, knn, x):
    x[[2, 55], 0] = np.nan
    options = ("--k", 3, "--nan", "isolate", "--weights", "symmetric")
    whole, old, new = (
        save(tmp_path / name, part, None)
        for name, part in (("all", x), ("old", x[:50]), ("new", x[50:]))
    )
    knn("build", whole, *options, "--out", tmp_path / "w.npz")
    knn("build", old, *options, "--out", tmp_path / "g.npz")
    knn("insert", tmp_path / "g.npz", "--features", new, "--out", tmp_path / "h.npz")
    got, want = np.load(tmp_path / "h.npz"), np.load(tmp_path / "w.npz")
    for key in ("indptr", "indices", "data", "similarity"):
        np.testing.assert_array_equal(got[key], want[key])


def test_what_cannot_be_inserted_is_refused(tmp_path, knn, x):
    old, new = (
        save(tmp_path / "old", x[:50], None),
        save(tmp_path / "new", x[50:], None),
    )
    ids = np.arange(10)
    named, again = save(tmp_path / "named", x[50:], ids), tmp_path / "again.pt"
    narrow = save(tmp_path / "narrow", x[50:, :3], None)
    graph, union, out = tmp_path / "g.pt", tmp_path / "u.pt", tmp_path / "out.pt"
    knn("build", old, "--out", graph)
    knn("build", old, "--symmetrise", "union", "--out", union)
    knn("build", named, "--out", again)
    cases = [
        ((graph, "--features", named), r"named\.npz: the file has ids, the graph has"),
        ((again, "--features", named), r"item 0 is in the graph already"),
        ((graph, "--features", narrow), r"3 dimensions, but the graph's .* have 8"),
        ((union, "--features", new), r"can be inserted only into a graph of"),
        ((graph, "--features", new, "--base", new), r"10 rows, but the graph has 50"),
        ((old, "--features", new), r"old\.npy: not a graph that can be read back"),
    ]
    for words, message in cases:
        with pytest.raises(UserError, match=message):
            knn("insert", *words, "--out", out)
    np.save(old, x[:50] + 1)
    with pytest.raises(UserError, match=r"old\.npy: not the values that the graph was"):
        knn("insert", graph, "--features", new, "--out", out)
    moved = tmp_path / "moved.npy"
    np.save(moved, x[:50])
    old.unlink()
    with pytest.raises(UserError, match=r"old\.npy: .* not there - .* with --base"):
        knn("insert", graph, "--features", new, "--out", out)
    assert not out.exists()
    knn("insert", graph, "--features", new, "--base", moved, "--out", out)
