from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.knn import build_graphs, join_blocks, verify_graphs
from mmgraph.data import GraphFile, read_graph
from mmgraph.errors import UserError
from mmgraph.knn import build_blocks


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
def test_a_joined_graph_is_compared_in_its_own_dtype(tmp_path, x, dtype):
    np.save(tmp_path / "x.npy", (100 * x).astype(dtype))
    work = build_blocks(tmp_path / "x.npy", 4, tmp_path / "work", block_rows=25)
    join_blocks([work.path], tmp_path / "graph")
    file, files = read_graph(tmp_path / "graph"), {"x": tmp_path / "x.npy"}
    report = verify_graphs(file, files, rows=0)
    assert (report["rows_checked"], report["wrong_rows"]) == (60, 0)
    assert report["same_features"]
    graph = file.graphs["graph"]
    graph.edge_index = graph.edge_index.clone()
    edge = int((graph.edge_index[1] == 33).nonzero()[0])
    graph.edge_index[0, edge] = graph.edge_index[0, edge + 1]
    report = verify_graphs(file, files, rows=0)
    assert (report["wrong_rows"], report["first_wrong_row"]) == (1, 33)
    np.save(tmp_path / "x.npy", (100 * x).astype(dtype)[::-1])
    assert not verify_graphs(file, files)["same_features"]


def test_a_graph_that_cannot_be_compared_is_refused(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    work = build_blocks(tmp_path / "a.npy", 4, tmp_path / "work", include_self=True)
    join_blocks([work.path], tmp_path / "graph")
    files = {"a": tmp_path / "a.npy"}
    with pytest.raises(UserError, match="'graph' holds edges of rows to themselves"):
        verify_graphs(read_graph(tmp_path / "graph"), files)
    graph = build_graphs(files, 4)[0].graphs["a"]
    two = GraphFile(60, None, {"b": graph, "c": graph})
    message = r"a\.npy: no graph of 'a' in g\.pt \(it has b, c\) - name the feature"
    with pytest.raises(UserError, match=message):
        verify_graphs(two, files, label="g.pt")
