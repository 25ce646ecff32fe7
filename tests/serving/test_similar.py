from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.bench.config import run_config
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import train_run
from mmgraph.cli import main
from mmgraph.data.graphs.item_graphs import GraphFile, ModalityGraph
from mmgraph.errors import UserError
from mmgraph.serving.similar import similar_items
from mmgraph.serving.vectors import final_vectors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = run_config(parse_spec("MF-BPR"), {"embedding_dim": 8, "epochs": 2})
    train_run(config, DataSource("synthetic"), folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    np.save(folder / "text.npy", np.random.default_rng(0).normal(size=(30, 6)))
    out = folder / "graph.pt"
    words = [str(folder / "text.npy"), "--k", "4", "--out", str(out)]
    assert main(["knn", "build", *words, "--quiet"]) == 0
    return folder / "text.npy", out


def test_a_run_ranks_by_the_cosine_of_its_item_vectors(run):
    loaded = load_run(run)
    train = loaded.splits[0]
    ids, x = train["item"].raw_id, loaded.model.item.weight.detach().double().numpy()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    wanted = [str(ids[7]), str(ids[3])]
    table = similar_items(run, ",".join(wanted), k=5)
    assert list(table.columns) == ["item_id", "by", "similar_id", "rank", "similarity"]
    assert list(table["rank"]) == [1, 2, 3, 4, 5] * 2
    assert set(table["by"]) == {"trained"}
    for row, (_, mine) in zip(
        (7, 3), table.groupby("item_id", sort=False), strict=True
    ):
        cosine = unit @ unit[row]
        cosine[row] = -np.inf
        best = np.argsort(-cosine)[:5]
        assert list(mine["item_id"]) == [ids[row]] * 5
        assert list(mine["similar_id"]) == list(ids[best])
        np.testing.assert_allclose(mine["similarity"], cosine[best], atol=1e-6)


def test_no_more_items_come_than_there_are_others(run):
    train = load_run(run).splits[0]
    table = similar_items(run, str(train["item"].raw_id[0]), k=10**6)
    assert len(table) == train["item"].num_nodes - 1
    assert train["item"].raw_id[0] not in set(table["similar_id"])


def test_an_item_whose_vector_is_of_zeros_is_like_none(run, monkeypatch):
    vectors = final_vectors(load_run(run))
    vectors.item[[2, 5]] = 0
    monkeypatch.setattr("mmgraph.serving.similar.final_vectors", lambda _: vectors)
    ids = vectors.item_ids
    count = len(ids)
    table = similar_items(run, ",".join(ids[[2, 0, 1]]), k=count)
    assert list(table["item_id"]) == [ids[0]] * (count - 3) + [ids[1]] * (count - 3)
    assert list(table["rank"]) == 2 * list(range(1, count - 2))
    assert not {ids[2], ids[5]} & set(table["similar_id"])
    assert table["similarity"].min() < 0
    assert similar_items(run, str(ids[5]), k=3).empty


def test_a_graph_gives_the_neighbours_it_holds(graph):
    features, path = graph
    x = np.load(features).astype(np.float64)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    table = similar_items(path, "11,4", k=3)
    assert set(table["by"]) == {"text"}
    for row, (_, mine) in zip(
        (11, 4), table.groupby("item_id", sort=False), strict=True
    ):
        cosine = unit @ unit[row]
        cosine[row] = -np.inf
        best = np.argsort(-cosine)[:3]
        assert list(mine["similar_id"]) == list(best)
        assert list(mine["rank"]) == [1, 2, 3]
        np.testing.assert_allclose(mine["similarity"], cosine[best], atol=1e-6)


def test_an_item_is_not_its_own_neighbour_where_the_graph_says_so(tmp_path):
    path = tmp_path / "graph.pt"
    path.touch()
    edge_index = torch.tensor([[0, 1, 2, 1, 0], [0, 0, 0, 1, 1]])
    similarity = torch.tensor([1.0, 0.25, 0.5, 1.0, 0.25])
    facts = {"k": 3, "metric": "cosine", "include_self": True, "exact": True}
    graph = ModalityGraph(edge_index, similarity, similarity, facts)
    file = GraphFile(3, None, {"m": graph})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmgraph.serving.similar.read_graph", lambda _: file)
        table = similar_items(path, "0,1", k=10)
    pairs = list(zip(table["item_id"], table["similar_id"], strict=True))
    assert pairs == [(0, 2), (0, 1), (1, 0)]
    assert table["rank"].tolist() == [1, 2, 1]


def test_what_is_not_there_is_named(run, graph):
    with pytest.raises(UserError, match=r"unknown modality 'tex'.*text"):
        similar_items(graph[1], "0", modality="tex")
    with pytest.raises(UserError, match="a trained system has no modality 'text'"):
        similar_items(run, "i000", modality="text")
    with pytest.raises(UserError, match="nowhere: no such run or graph - check the"):
        similar_items(run.parent / "nowhere", "i001")
    with pytest.raises(UserError, match="unknown item id '77'"):
        similar_items(graph[1], "0,77")
