from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.knn import build_graphs, insert_items, join_blocks
from mmgraph.data import GraphFile, read_graph
from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph


def test_a_joined_graph_grows_as_one_that_was_built(tmp_path, x):
    for name, part in (("old", x[:50]), ("new", x[50:])):
        np.save(tmp_path / f"{name}.npy", part)
    old, new = tmp_path / "old.npy", tmp_path / "new.npy"
    work = build_blocks(old, 4, tmp_path / "work", block_rows=20)
    join_blocks([work.path], tmp_path / "graph")
    joined = read_graph(tmp_path / "graph")
    with pytest.raises(
        UserError, match=r"graph: has no record of its features - .* --b"
    ):
        insert_items(joined, {"new": new}, label="graph")
    grown, report = insert_items(joined, {"new": new}, {"old": old})
    edge_index, similarity = knn_graph(x, 4)
    graph = grown.graphs["graph"]
    assert torch.equal(graph.edge_index, edge_index)
    assert torch.equal(graph.similarity, similarity)
    built, _ = build_graphs({"old": old}, 4)
    _, want = insert_items(built, {"new": new})
    assert report["graph_sha256"] == want["graph_sha256"]
    assert report["num_new"] == want["num_new"] == 10
    assert graph.facts["features"] == [str(old), str(new)]


def test_rows_to_themselves_stay(tmp_path, x):
    x = x[np.linalg.norm(x, axis=1) > 0]
    np.save(tmp_path / "old.npy", x[:50])
    np.save(tmp_path / "new.npy", x[50:])
    old = tmp_path / "old.npy"
    work = build_blocks(old, 4, tmp_path / "work", include_self=True)
    join_blocks([work.path], tmp_path / "graph")
    joined = read_graph(tmp_path / "graph")
    grown, _ = insert_items(joined, {"v": tmp_path / "new.npy"}, {"v": old})
    want, _ = knn_graph(x, 4, include_self=True)
    assert torch.equal(grown.graphs["graph"].edge_index, want)


def test_a_graph_of_another_dtype_is_not_extended(tmp_path, x):
    np.save(tmp_path / "half.npy", x.astype(np.float16))
    half = {"half": tmp_path / "half.npy"}
    work = build_blocks(half["half"], 4, tmp_path / "work")
    join_blocks([work.path], tmp_path / "graph")
    with pytest.raises(
        UserError, match="was computed in float16, new rows are float32"
    ):
        insert_items(read_graph(tmp_path / "graph"), half, half)


def test_each_graph_needs_its_file(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    files = {"a": tmp_path / "a.npy"}
    file, _ = build_graphs(files, 4)
    two = GraphFile(60, None, {"a": file.graphs["a"], "b": file.graphs["a"]})
    message = r"g\.pt has graphs of a, b, the files are of a - give one file per modal"
    with pytest.raises(UserError, match=message):
        insert_items(two, files, label="g.pt")
