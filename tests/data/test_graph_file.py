from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.data.graph_file import (
    GraphFacts,
    GraphFile,
    ModalityGraph,
    read_graph,
    write_graph,
)
from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph, merge_shards


def graph_file(ids=None):
    facts = {
        **dict.fromkeys(GraphFacts.__required_keys__, "x"),
        "k": 1,
        "features": ["a.npy"],
    }
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


@pytest.fixture
def folder(tmp_path, x):
    """As ``merge_shards`` writes it, without a record of its features."""
    work = build_blocks(x, 4, tmp_path / "work", block_rows=25)
    merge_shards([work.path], tmp_path / "visual")
    return tmp_path / "visual"


def test_a_folder_of_blocks_is_a_graph_that_stays_on_disk(folder, x):
    file = read_graph(folder)
    graph = file.graphs["visual"]
    edge_index, similarity = knn_graph(x, 4)
    assert torch.equal(graph.edge_index, edge_index)
    assert torch.equal(graph.similarity, similarity)
    assert torch.equal(graph.weight, similarity)
    assert (file.num_items, file.ids) == (60, None)
    assert GraphFacts.__required_keys__ <= graph.facts.keys()
    assert graph.facts["features"] == []
    on_disk = np.load(folder / "similarity.npy", mmap_mode="r+")
    on_disk[0] = 9
    on_disk.flush()
    assert graph.similarity[0] == 9  # the same pages, not a copy


def test_damaged_folders_are_refused(folder):
    edges = np.load(folder / "edge_index.npy")
    record = (folder / "graph.json").read_text()
    cases = [
        ("edge_index.npy", edges[:, :-1], r"visual: not a graph folder - make it with"),
        ("edge_index.npy", edges.astype(np.int32), r"visual: not a graph folder"),
        ("edge_index.npy", edges + 1, r"visual: the graph of 'visual' is damaged"),
        ("edge_index.npy", None, r"edge_index\.npy: no such file - check the path"),
        ("graph.json", "{", r"visual: not a graph folder"),
        ("graph.json", record.replace('"k"', '"q"'), r"visual: no record of 'k'"),
        ("graph.json", None, r"graph\.json: no such file"),
    ]
    for name, content, message in cases:
        path = folder / name
        old = path.read_bytes()
        path.unlink()
        if isinstance(content, str):
            path.write_text(content)
        elif content is not None:
            np.save(path, content)
        with pytest.raises(UserError, match=message):
            read_graph(folder)
        path.unlink(missing_ok=True)
        path.write_bytes(old)
    assert read_graph(folder)
