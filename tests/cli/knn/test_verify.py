from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mmgraph.cli import main
from mmgraph.errors import UserError
from mmgraph.knn.digest import graph_digest


@pytest.fixture
def graph(tmp_path, knn, x):
    ids = np.array([f"i{n:02d}" for n in range(60)])
    np.savez(tmp_path / "a.npz", features=x, ids=ids)
    knn("build", tmp_path / "a.npz", "--k", 4, "--out", tmp_path / "g.pt")
    return tmp_path / "g.pt"


def test_a_right_graph_is_right(tmp_path, knn, graph):
    result = knn("verify", graph, "--features", tmp_path / "a.npz", "--rows", 25)
    assert result["graphs"]["a"] == {
        "num_nodes": 60,
        "k": 4,
        "metric": "cosine",
        "rows_checked": 25,
        "wrong_rows": 0,
        "first_wrong_row": None,
        "first_wrong_id": None,
        "same_features": True,
        "graph_sha256": knn("info", graph)["graph_sha256"],
    }
    told = knn("verify", graph, "--features", tmp_path / "a.npz", raw=True)
    assert told.exit_code == 0
    assert told.stdout == "a: 60 rows checked, all right\n"


def test_a_wrong_row_is_named_with_exit_code_1(tmp_path, knn, graph):
    stores = torch.load(graph, weights_only=True)
    store = stores["item", "similar_a", "item"]
    edge_index = store["edge_index"]
    place = int((edge_index[1] == 33).nonzero()[0])
    edge_index[0, place] = edge_index[0, place + 1]
    # A wrong graph, and no damaged one.
    store["knn"]["graph_sha256"] = graph_digest(edge_index, store["edge_sim"])
    torch.save(stores, graph)
    words = ("verify", graph, "--features", tmp_path / "a.npz")
    told = knn(*words, "--rows", 0, raw=True)
    assert told.exit_code == 1
    assert told.stdout == (
        "a: 60 rows checked, 1 wrong, the first is row 33 (item i33)\n"
    )
    told = knn(*words, "--rows", 0, "--json", raw=True)
    assert told.exit_code == 1
    assert json.loads(told.stdout)["graphs"]["a"]["first_wrong_row"] == 33
    command = ["knn", *map(str, words), "--rows", "0"]
    assert main(command) == 1


def test_other_features_are_told(tmp_path, knn, graph, x):
    np.save(tmp_path / "b.npy", x[::-1])
    told = knn("verify", graph, "--features", tmp_path / "b.npy", raw=True)
    assert told.exit_code == 1
    assert told.stdout.endswith("it was built from other features\n")


def test_features_of_another_width_do_not_fit(tmp_path, knn, graph, x):
    np.save(tmp_path / "b.npy", x[:, :5])
    words = ("verify", graph, "--features", tmp_path / "b.npy")
    with pytest.raises(UserError, match=r"b\.npy: 5 dimensions, but .* 'a' is of 8 - "):
        knn(*words)
    stores = torch.load(graph, weights_only=True)
    del stores["item", "similar_a", "item"]["knn"]["dim"]  # as it was once written
    torch.save(stores, graph)
    assert knn(*words, raw=True).exit_code == 1


@pytest.mark.parametrize("how", ["union", "mutual"])
def test_undirected_graphs_are_verified_whole(tmp_path, knn, x, how):
    np.save(tmp_path / "a.npy", x)
    options = ("--symmetrise", how, "--duplicates", "collapse", "--metric", "l2")
    knn("build", tmp_path / "a.npy", "--k", 4, *options, "--out", tmp_path / "g.npz")
    words = ("verify", tmp_path / "g.npz", "--features", tmp_path / "a.npy")
    row = knn(*words, "--rows", 5)["graphs"]["a"]
    assert (row["rows_checked"], row["wrong_rows"]) == (60, 0)


def test_what_is_no_graph_is_refused(tmp_path, knn, graph):
    (tmp_path / "bad.pt").write_bytes(b"no graph")
    cases = [
        (tmp_path / "bad.pt", r"bad\.pt: damaged archive \(File is not a zip file\)"),
        (tmp_path / "no.pt", r"no\.pt: no such file"),
    ]
    for path, message in cases:
        with pytest.raises(UserError, match=message):
            knn("verify", path, "--features", tmp_path / "a.npz")


@pytest.mark.parametrize("moved", [False, True])
def test_a_grown_graph_is_verified_by_the_files_it_came_from(tmp_path, knn, x, moved):
    """Under any name, in any order, and also where they have moved since."""
    old, new, last = (tmp_path / f"{name}.npy" for name in ("old", "new", "last"))
    for path, part in ((old, x[:40]), (new, x[40:50]), (last, x[50:])):
        np.save(path, part)
    graph = tmp_path / "g.pt"
    knn("build", old, "--k", 4, "--out", graph)
    knn("insert", graph, "--features", new, "--out", graph)
    if moved:
        (tmp_path / "there").mkdir()
        old, new = (p.rename(tmp_path / "there" / p.name) for p in (old, new))
        words = ("insert", graph, "--features", last, "--out", graph)
        with pytest.raises(UserError, match=r"old\.npy: .* which is not there - name"):
            knn(*words)
        knn(*words, "--base", new, "--base", old)
    else:
        knn("insert", graph, "--features", last, "--out", graph)
    words = [word for path in (last, old, new) for word in ("--features", path)]
    row = knn("verify", graph, *words, "--rows", 0)["graphs"]["old"]
    assert (row["rows_checked"], row["wrong_rows"]) == (60, 0)
    assert row["same_features"]
    with pytest.raises(UserError, match=r"50 rows, but the graph has 60 items"):
        knn("verify", graph, *words[2:])


def test_two_files_of_one_graph_that_never_grew_are_refused(tmp_path, knn, graph):
    (tmp_path / "there").mkdir()
    again = tmp_path / "there" / "a.npz"
    again.write_bytes((tmp_path / "a.npz").read_bytes())
    words = ("--features", tmp_path / "a.npz", "--features", again)
    with pytest.raises(UserError, match=r"there/a\.npz: .* and this file are both"):
        knn("verify", graph, *words)
