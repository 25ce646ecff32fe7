from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.knn import build_graphs
from mmgraph.data import read_graph
from mmgraph.errors import UserError
from mmgraph.knn import edge_weights, knn_graph, symmetrise


def test_the_function_is_the_command(tmp_path, knn, x):
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x[:, :3].copy())
    files = {name: tmp_path / f"{name}.npy" for name in ("a", "b")}
    options = {"metric": "l2", "symmetrise": "union", "weights": "binary"}
    file, report = build_graphs(files, 4, device="cpu", **options)
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    out = tmp_path / "g.pt"
    told = knn("build", *files.values(), "--k", 4, *words, "--out", out)
    for part in (*report["graphs"].values(), *told["graphs"].values()):
        del part["seconds"], part["peak_memory_bytes"]
    assert report == told
    written = read_graph(out)
    for name, matrix in (("a", x), ("b", x[:, :3].copy())):
        want, similarity = symmetrise(*knn_graph(matrix, 4, metric="l2"), 60, "union")
        for graph in (file.graphs[name], written.graphs[name]):
            assert torch.equal(graph.edge_index, want)
            assert torch.equal(graph.similarity, similarity)
            weight = edge_weights(want, similarity, 60, "binary")
            assert torch.equal(graph.weight, weight)
        assert file.graphs[name].facts == written.graphs[name].facts
        assert file.graphs[name].facts["features"] == [str(files[name])]


def test_an_option_out_of_range_is_named_and_not_the_file(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    files = {"a": tmp_path / "a.npy"}
    for options, message in (
        ({"metric": "dot"}, r"^kNN graph: 'metric' must be one of .* \(got 'dot'\)"),
        ({"k": 0}, r"^kNN graph: 'k' must be at least 1 \(got 0\)"),
        ({"k": True}, r"'k' must be an integer at least 1 \(got True\)"),
        ({"recall": float("nan")}, r"'recall' must be a number in \(0, 1\)"),
        ({"backend": "annoy"}, r"^kNN graph: 'backend' must be one of"),
        ({"recall": 2.0}, r"^kNN graph: 'recall' must be in \(0, 1\)"),
        ({"zero": "drop"}, r"^kNN graph: 'zero' must be one of .* \(got 'drop'\)"),
    ):
        with pytest.raises(UserError, match=message):
            build_graphs(files, **options)
