from __future__ import annotations

import errno
import json
import os
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mmgraph.checksum import file_has_checksum
from mmgraph.data.graphs.graph_file import (
    GraphFacts,
    GraphFile,
    ModalityGraph,
    read_graph,
    write_graph,
)
from mmgraph.errors import UserError
from mmgraph.files import read_json
from mmgraph.knn import build_blocks, knn_graph, merge_shards
from mmgraph.knn.digest import graph_digest


def graph_file(ids=None):
    edge_index = torch.tensor([[1, 0, 1], [0, 1, 3]])
    similarity = torch.tensor([0.5, 0.5, 0.25])
    facts = {
        "k": 1,
        "metric": "cosine",
        "nan": "refuse",
        "duplicates": "keep",
        "symmetrise": "none",
        "weights": "binary",
        "exact": True,
        "features": ["a.npy"],
        "input_sha256": 64 * "0",
        "graph_sha256": graph_digest(edge_index, similarity),
    }
    graph = ModalityGraph(edge_index, similarity, torch.ones(3), facts)
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
        (
            far,
            r"g\.pt: the graph of 'a' is damaged: an edge is of no item - make it with",
        ),
        (short, r"g\.pt: the graph of 'a' is damaged: similarity must be \[E\] - "),
        (bare, r"g\.pt: the graph of 'a' is damaged: no record of 'metric' - "),
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


@pytest.fixture
def old_folder(folder):
    """As versions before 0.3 wrote it: without any checksum."""
    record = read_json(folder / "graph.json")
    del record["files"]
    (folder / "graph.json").write_text(json.dumps(record))
    return folder


def test_damaged_folders_without_checksums_are_refused(old_folder):
    edges = np.load(old_folder / "edge_index.npy")
    similarity = np.load(old_folder / "similarity.npy")
    record = (old_folder / "graph.json").read_text()
    damaged = r"visual: the graph of 'visual' is damaged: "
    cases = [
        ("edge_index.npy", edges[:, :-1], damaged + r"similarity must be \[E\]"),
        (
            "edge_index.npy",
            edges.astype(np.int32),
            damaged + "edge_index must be torch",
        ),
        ("edge_index.npy", edges + 1, damaged + "an edge is of no item"),
        ("edge_index.npy", edges[:, ::-1], damaged + "edges are not in the order"),
        ("similarity.npy", similarity / 2, damaged + "its edges do not have their SHA"),
        ("edge_index.npy", None, r"edge_index\.npy: no such file - check the path"),
        ("graph.json", "{", r"graph\.json: not JSON: .* - make it with"),
        ("graph.json", record.replace('"k"', '"q"'), damaged + "no record of 'k'"),
        ("graph.json", record.replace("236", "237"), r"visual: not a graph folder"),
        ("graph.json", None, r"graph\.json: no such file"),
    ]
    assert read_graph(old_folder)
    for name, content, message in cases:
        path = old_folder / name
        old = path.read_bytes()
        path.unlink()
        if isinstance(content, str):
            path.write_text(content)
        elif content is not None:
            np.save(path, content)
        with pytest.raises(UserError, match=message):
            read_graph(old_folder)
        path.unlink(missing_ok=True)
        path.write_bytes(old)
    assert read_graph(old_folder)


def flip_bits(path, times):
    """The file with one bit flipped, at several places one after the other."""
    content = bytearray(path.read_bytes())
    places = np.random.default_rng(0).choice(8 * len(content), times, replace=False)
    for place in places:
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        yield
        content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_every_flipped_bit_of_a_graph_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"g.{suffix}"
    write_graph(path, graph_file(["a", "b", "c", "d"]))
    for _ in flip_bits(path, 40):
        with pytest.raises(UserError, match=rf"g\.{suffix}: "):
            read_graph(path)
    assert read_graph(path)


@pytest.mark.parametrize("name", ["graph.json", "edge_index.npy", "similarity.npy"])
def test_every_flipped_bit_of_a_graph_folder_is_refused(folder, name):
    for _ in flip_bits(folder / name, 40):
        with pytest.raises(UserError, match=rf"{name}: damaged: its content does not"):
            read_graph(folder)
    assert read_graph(folder)


def test_an_edge_list_carries_a_checksum(tmp_path):
    path = tmp_path / "g.parquet"
    write_graph(path, graph_file(["a", "a\0", "c", "d"]))
    assert file_has_checksum(path)
    table = pq.read_table(path).to_pydict()
    assert table["neighbour"] == ["a\0", "a", "a\0"]
    for _ in flip_bits(path, 20):
        with pytest.raises(UserError, match="damaged: its content"):
            file_has_checksum(path)


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_graphs_of_versions_without_checksums_are_read(tmp_path, suffix):
    path = tmp_path / f"g.{suffix}"
    write_graph(path, graph_file([7, 5, 3, 1]))
    content = path.read_bytes()
    at = content.rindex(b"mmgraph:sha256:")
    path.write_bytes(content[: at - 2] + b"\0\0")  # an archive without a comment
    assert not file_has_checksum(path)
    assert read_graph(path).ids == [7, 5, 3, 1]


def test_ids_that_numpy_would_merge_are_not_written(tmp_path):
    file = graph_file(["a", "a\0", "c", "d"])
    with pytest.raises(UserError, match=r"end in NUL do not fit into \.npz - name it"):
        write_graph(tmp_path / "g.npz", file)
    write_graph(tmp_path / "g.pt", file)
    assert read_graph(tmp_path / "g.pt").ids == file.ids


def test_a_packed_archive_is_refused_before_it_takes_memory(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(2**28 + 1))
    with pytest.raises(UserError, match=r"bomb\.pt: bomb/data/0 declares 268435457"):
        read_graph(path)


def test_what_a_file_would_call_is_refused_before_it_takes_memory(tmp_path):
    """``torch.load`` calls ``bytearray`` and ``torch.Tensor`` with any number."""
    size = b"\x8a\x05" + (10**10).to_bytes(5, "little")
    write_graph(tmp_path / "g.pt", graph_file())
    for call in (b"builtins\nbytearray", b"torch\nTensor", b"builtins\nset"):
        with (
            zipfile.ZipFile(tmp_path / "g.pt") as whole,
            zipfile.ZipFile(tmp_path / "bad.pt", "w") as bad,
        ):
            for name in whole.namelist():
                content = b"\x80\x02c" + call + b"\n" + size + b"\x85R."
                is_object = name.endswith("data.pkl")
                bad.writestr(name, content if is_object else whole.read(name))
        with pytest.raises(UserError, match=r"bad\.pt: not a graph file") as error:
            read_graph(tmp_path / "bad.pt")
        assert "is no part of a graph" in str(error.value.__cause__)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "No space left"), (errno.EFBIG, "File too l")]
)
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path, monkeypatch, number, reason
):
    path = tmp_path / "g.pt"
    write_graph(path, graph_file())
    old = path.read_bytes()

    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    message = rf"g\.pt: cannot be written \({reason}.*\) - check space and permissions"
    with pytest.raises(UserError, match=message):
        write_graph(path, graph_file([1, 2, 3, 4]))
    assert path.read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["g.pt"]
