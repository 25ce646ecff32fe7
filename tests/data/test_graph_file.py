from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.data.graph_file import (
    FACTS,
    GraphFile,
    ModalityGraph,
    read_graph,
    write_graph,
)
from mmgraph.errors import UserError


def graph_file(ids=None):
    facts = {**dict.fromkeys(FACTS, "x"), "k": 1, "features": ["a.npy"]}
    edge_index = torch.tensor([[1, 0, 1], [0, 1, 3]])
    graph = ModalityGraph(
        edge_index, torch.tensor([0.5, 0.5, 0.25]), torch.ones(3), facts
    )
    return GraphFile(4, ids, {"a": graph})


@pytest.mark.parametrize("suffix", ["pt", "npz"])
@pytest.mark.parametrize("ids", [None, ["a", "b", "c", "d"], [7, 5, 3, 1]])
def test_what_is_written_is_read(tmp_path, suffix, ids):
    path, file = tmp_path / f"g.{suffix}", graph_file(ids)
    write_graph(path, file)
    got = read_graph(path)
    assert (got.num_items, got.ids) == (4, ids)
    for field in ("edge_index", "similarity", "weight"):
        assert torch.equal(
            getattr(got.graphs["a"], field), getattr(file.graphs["a"], field)
        )
    assert got.graphs["a"].facts == file.graphs["a"].facts


def test_damaged_graphs_are_refused(tmp_path):
    far, short, bare = graph_file(), graph_file(), graph_file()
    far.graphs["a"].edge_index[0, 2] = 4
    short.graphs["a"].similarity = torch.ones(2)
    del bare.graphs["a"].facts["metric"]
    cases = [
        (far, r"g\.pt: the graph of 'a' is damaged - make it with mmgraph knn build"),
        (short, r"g\.pt: the graph of 'a' is damaged"),
        (bare, r"g\.pt: no record of 'metric' - make it with"),
    ]
    for file, message in cases:
        write_graph(tmp_path / "g.pt", file)
        with pytest.raises(UserError, match=message):
            read_graph(tmp_path / "g.pt")
    np.savez(tmp_path / "g.npz", features=np.eye(3))
    with pytest.raises(UserError, match=r"g\.npz: not a graph file - make it with"):
        read_graph(tmp_path / "g.npz")
