from __future__ import annotations

import numpy as np
import torch

from mmgraph.analysis.knn import build_graphs, join_blocks, merge_graphs
from mmgraph.data import write_graph
from mmgraph.knn import build_blocks, knn_graph


def test_a_joined_graph_goes_with_one_that_was_built(tmp_path, x):
    np.save(tmp_path / "b.npy", x[:, :3].copy())
    work = build_blocks(x, 4, tmp_path / "work")
    join_blocks([work.path], tmp_path / "a")
    file, _ = build_graphs({"b": tmp_path / "b.npy"}, 4)
    write_graph(tmp_path / "b.npz", file)
    merged = merge_graphs([tmp_path / "a", tmp_path / "b.npz"])
    write_graph(tmp_path / "both.pt", merged)
    stores = torch.load(tmp_path / "both.pt", weights_only=True)
    for name, matrix in (("a", x), ("b", x[:, :3].copy())):
        store = stores["item", f"similar_{name}", "item"]
        edge_index, similarity = knn_graph(matrix, 4)
        assert torch.equal(store["edge_index"], edge_index)
        assert torch.equal(store["edge_sim"], similarity)
        assert torch.equal(store["edge_weight"], similarity)
