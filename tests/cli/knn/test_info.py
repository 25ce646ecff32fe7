from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.cli import main
from mmgraph.errors import UserError
from mmgraph.knn import knn_graph
from mmgraph.knn.digest import feature_digest, graph_digest


@pytest.fixture
def graph(tmp_path, knn, x):
    """Two modalities of which the second is the first."""
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x)
    files = (tmp_path / "a.npy", tmp_path / "b.npy")
    knn("build", *files, "--k", 3, "--metric", "l2", "--out", tmp_path / "g.pt")
    return tmp_path / "g.pt"


def test_it_tells_how_each_graph_was_made_and_what_it_is(tmp_path, knn, graph, x):
    told = knn("info", graph)
    edge_index, similarity = knn_graph(x, 3, metric="l2")
    assert (told["num_nodes"], told["ids"]) == (60, False)
    assert list(told["graphs"]) == ["a", "b"]
    want = {
        "num_nodes": 60,
        "num_edges": 177,
        "k": 3,
        "metric": "l2",
        "nan": "refuse",
        "duplicates": "keep",
        "symmetrise": "none",
        "weights": "similarity",
        "exact": True,
        "features": [str(tmp_path / "a.npy")],
        "input_sha256": feature_digest(x),
        "graph_sha256": graph_digest(edge_index, similarity),
        "intact": True,
        "isolated_rows": 1,
    }
    row = told["graphs"]["a"]
    assert {key: row[key] for key in want} == want
    (overlap,) = told["overlap"]
    assert overlap == {"modalities": ["a", "b"], "value": 1.0, "expected": 3 / 59}


def test_ids_of_the_features_are_in_the_graph(tmp_path, knn, x):
    np.savez(tmp_path / "a.npz", features=x, ids=np.arange(60))
    knn("build", tmp_path / "a.npz", "--out", tmp_path / "g.npz")
    told = knn("info", tmp_path / "g.npz")
    assert told["ids"] is True
    assert told["overlap"] == []


def test_a_graph_that_was_changed_is_refused(knn, graph):
    stores = torch.load(graph, weights_only=True)
    for name in ("edge_sim", "edge_weight"):
        stores["item", "similar_a", "item"][name][5] -= 1
    torch.save(stores, graph)
    message = r"g\.pt: the graph of 'a' is damaged: its edges do not have their SHA-256"
    with pytest.raises(UserError, match=message):
        knn("info", graph)


def test_info_as_a_table_names_every_fact(knn, graph):
    told = knn("info", graph, raw=True).stdout
    for row in ("num_nodes", "intact", "graph_sha256", "hubness", "components"):
        assert row in told
    assert "in_lists_histogram" not in told
    assert "a and b have 1.0000 of their neighbours in common, by chance 0.0508" in told


def test_what_is_no_graph_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert main(["knn", "info", str(tmp_path / "no.pt")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {tmp_path / 'no.pt'}: no such file - ")
    assert told.err.count("\n") == 1
