from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.files import read_json
from mmgraph.knn import build_blocks, knn_graph, merge_shards, read_shards
from mmgraph.knn.digest import feature_digest, graph_digest
from mmgraph.knn.jobs.work_folder import WorkFolder


def shards(x, place, names=("1/3", "2/3", "3/3"), **options):
    options = {"block_rows": 10, **options}
    folders = [place / name.replace("/", "-") for name in names]
    for name, folder in zip(names, folders, strict=True):
        build_blocks(x, 3, folder, shard=name, **options)
    return folders


@pytest.fixture
def x():
    x = np.random.default_rng(0).normal(size=(70, 4)).astype(np.float32)
    x[11] = 0
    return x


def test_the_files_hold_the_graph_of_the_whole(tmp_path, x):
    folders = shards(x, tmp_path)
    want = knn_graph(x, 3)
    result = merge_shards(folders[::-1], tmp_path / "graph")
    record = read_json(tmp_path / "graph" / "graph.json")
    for name, sha256 in record.pop("files").items():
        content = (tmp_path / "graph" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
    assert record == result
    assert result == {
        "num_nodes": 70,
        "num_edges": 69 * 3,
        "k": 3,
        "metric": "cosine",
        "include_self": False,
        "nan": "refuse",
        "duplicates": "keep",
        "zero_rows": 1,
        "nan_rows": 0,
        "collapsed_rows": 0,
        "input_sha256": feature_digest(x),
        "graph_sha256": graph_digest(*want),
    }
    edge_index = np.load(tmp_path / "graph" / "edge_index.npy", mmap_mode="r")
    similarity = np.load(tmp_path / "graph" / "similarity.npy", mmap_mode="r")
    assert (edge_index == want[0].numpy()).all()
    assert (similarity == want[1].numpy()).all()
    got = read_shards(folders)
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])
    assert (got[0].dtype, got[1].dtype) == (torch.int64, torch.float32)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["1-3", "2-3", "3-3", "graph"]


def test_shards_may_share_a_folder_and_overlap(tmp_path, x):
    for name in ("1/3", "3/3", "2/2", "2/3"):
        build_blocks(x, 3, tmp_path / "w", shard=name, block_rows=10)
    folders = [*shards(x, tmp_path, ("1/2",)), tmp_path / "w"]
    want = graph_digest(*knn_graph(x, 3))
    assert graph_digest(*read_shards([tmp_path / "w"])) == want
    assert graph_digest(*read_shards(folders)) == want


def test_missing_blocks_are_named_and_nothing_is_written(tmp_path, x):
    folders = shards(x, tmp_path, ("1/3", "3/3"))
    message = r"1-3: 2 of 7 blocks are missing: 1, 4 - finish the shards that make them"
    with pytest.raises(UserError, match=message):
        merge_shards(folders, tmp_path / "graph")
    with pytest.raises(UserError, match=message):
        read_shards(folders)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-3", "3-3"]
    (folder,) = shards(x, tmp_path, ("70/70",), block_rows=1)
    message = r"69 of 70 blocks are missing: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\. - "
    with pytest.raises(UserError, match=message):
        read_shards([folder])


def test_ten_missing_blocks_are_all_named(tmp_path, x):
    folders = shards(x[:11], tmp_path, ("11/11",), block_rows=1)
    message = r"10 of 11 blocks are missing: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 - finish"
    with pytest.raises(UserError, match=message):
        read_shards(folders)


def test_shards_of_different_builds_are_refused(tmp_path, x):
    one, *_ = shards(x, tmp_path / "a")
    other, *_ = shards(x, tmp_path / "b", metric="l2")
    message = r"1-3: made with options.metric 'l2', now it is 'cosine' - give the same"
    with pytest.raises(UserError, match=message):
        merge_shards([one, other], tmp_path / "graph")
    with pytest.raises(
        ValueError, match=r"^folders must .* one work folder \(got none\)$"
    ):
        read_shards([])


def test_an_existing_result_is_left_alone(tmp_path, x):
    folders = shards(x, tmp_path)
    (tmp_path / "graph").mkdir()
    with pytest.raises(UserError, match=r"graph: exists already - choose another"):
        merge_shards(folders, tmp_path / "graph")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: is no folder - choose another place"):
        merge_shards(folders, tmp_path / "file" / "graph")


def test_rows_that_are_all_zero_have_no_edges(tmp_path):
    folders = shards(np.zeros((25, 2), np.float32), tmp_path)
    edge_index, similarity = read_shards(folders)
    assert (edge_index.shape, edge_index.dtype) == ((2, 0), torch.int64)
    assert (similarity.shape, similarity.dtype) == ((0,), torch.float32)
    result = merge_shards(folders, tmp_path / "graph")
    assert (result["num_edges"], result["zero_rows"]) == (0, 25)
    assert np.load(tmp_path / "graph" / "edge_index.npy").shape == (2, 0)


def test_a_single_block_that_names_no_isolated_rows_is_a_graph(tmp_path):
    """As builds were before rows could be isolated."""
    manifest = {
        "input": {"rows": 2, "columns": 1, "dtype": "float32", "sha256": "ab"},
        "options": {"k": 1, "metric": "cosine", "include_self": False},
        "blocks": {"rows": 2, "count": 1},
    }
    work = WorkFolder.begin(tmp_path / "work", manifest)
    similarity = torch.tensor([[0.5], [0.5]])
    work.write_block(0, torch.tensor([0, 1]), torch.tensor([[1], [0]]), similarity)
    result = merge_shards([work.path], tmp_path / "graph")
    assert result == {
        "num_nodes": 2,
        "num_edges": 2,
        **manifest["options"],
        "input_sha256": "ab",
        "graph_sha256": graph_digest(*read_shards([work.path])),
    }
