"""All ``mmgraph knn ... --json`` have one shape, whatever made the graph."""

from __future__ import annotations

import numpy as np
import pytest


def check_shape(result, names, keys):
    """One graph's facts stand at the top level as well; of several they do not."""
    assert list(result["graphs"]) == names
    for facts in result["graphs"].values():
        assert set(keys) <= facts.keys()
        assert facts["num_nodes"] == result["num_nodes"]
    if len(names) == 1:
        (facts,) = result["graphs"].values()
        assert {key: result[key] for key in facts} == facts
    else:
        assert not (set(keys) - {"num_nodes"}) & result.keys()


KEYS = {
    "build": ("num_nodes", "k", "num_edges", "metric", "exact", "graph_sha256"),
    "info": ("num_nodes", "k", "num_edges", "metric", "exact", "graph_sha256"),
    "merge": ("num_nodes", "k", "num_edges", "metric", "exact", "graph_sha256"),
    "insert": ("num_nodes", "k", "num_edges", "metric", "num_new", "graph_sha256"),
    "verify": ("num_nodes", "k", "metric", "wrong_rows", "graph_sha256"),
    "join": ("num_nodes", "k", "num_edges", "metric", "graph_sha256"),
    "blocks": ("num_nodes", "k", "metric", "blocks", "missing"),
}


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_of_graphs_that_were_built(tmp_path, knn, x, names):
    (tmp_path / "new").mkdir()
    files, new = [], []
    for name in names:
        files.append(tmp_path / f"{name}.npy")
        new.append(tmp_path / "new" / f"{name}.npy")
        np.save(files[-1], x)
        np.save(new[-1], x[:3])
    graph, out = tmp_path / "g.pt", tmp_path / "out.pt"
    features, grown = (
        [word for path in paths for word in ("--features", path)]
        for paths in (files, new)
    )
    results = {
        "build": knn("build", *files, "--k", 3, "--out", graph),
        "info": knn("info", graph),
        "verify": knn("verify", graph, *features),
        "insert": knn("insert", graph, *grown, "--out", out),
        "merge": knn("merge", graph, "--out", out),
    }
    for command, result in results.items():
        check_shape(result, names, KEYS[command])


def test_of_a_graph_that_was_joined(tmp_path, knn, x):
    """``info``, ``verify``, ``insert`` and ``merge`` read it as they read a file."""
    path, graph, out = tmp_path / "a.npy", tmp_path / "graph", tmp_path / "out.pt"
    np.save(path, x)
    (tmp_path / "new").mkdir()
    np.save(tmp_path / "new" / "a.npy", x[:3])
    new = ("--features", tmp_path / "new" / "a.npy")
    results = {
        "blocks": knn("blocks", path, "--k", 3, "--work", tmp_path / "work"),
        "join": knn("join", tmp_path / "work", "--out", graph),
        "info": knn("info", graph),
        "verify": knn("verify", graph, "--features", path, "--rows", 0),
        "insert": knn("insert", graph, *new, "--out", out),
        "merge": knn("merge", graph, "--out", tmp_path / "merged.pt"),
    }
    for command, result in results.items():
        check_shape(result, ["a"], KEYS[command])
    assert results["info"]["intact"] is True
    assert results["info"]["features"] == [str(path)]
    assert results["verify"]["wrong_rows"] == 0
    assert results["verify"]["rows_checked"] == 60
    built = knn("build", path, "--k", 3, "--out", tmp_path / "g.pt")
    want = knn("insert", tmp_path / "g.pt", *new, "--out", tmp_path / "want.pt")
    assert results["join"]["graph_sha256"] == built["graph_sha256"]
    assert results["insert"]["graph_sha256"] == want["graph_sha256"]


def test_info_has_the_same_keys_whatever_made_the_graph(tmp_path, knn, x):
    path, new = tmp_path / "a.npy", tmp_path / "new.npy"
    np.save(path, x)
    np.save(new, x[:3])
    built, grown, merged = (tmp_path / f"{name}.pt" for name in ("b", "g", "m"))
    knn("build", path, "--k", 3, "--out", built)
    knn("build", path, "--k", 3, "--out", tmp_path / "c.npz")
    knn("insert", built, "--features", new, "--out", grown)
    knn("merge", built, "--out", merged)
    knn("blocks", path, "--k", 3, "--work", tmp_path / "work")
    knn("join", tmp_path / "work", "--out", tmp_path / "joined")
    graphs = (built, tmp_path / "c.npz", grown, merged, tmp_path / "joined")
    assert len({frozenset(knn("info", graph)) for graph in graphs}) == 1
    assert knn("info", built)["zero_rows"] is None  # it has no record of it
    assert knn("info", tmp_path / "joined")["zero_rows"] == 1
