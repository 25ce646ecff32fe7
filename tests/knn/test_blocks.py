from __future__ import annotations

import itertools
import json
import os
import sys

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph, merge_shards, read_shards
from mmgraph.knn.digest import graph_digest
from mmgraph.knn.jobs.block_executor import in_processes

METRICS = ["cosine", "ip", "l2"]


@pytest.fixture(autouse=True)
def _no_power_failure(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of small files


def hard_table():
    """Duplicates, multiples, near-ties and zero rows, more than a list holds."""
    base = torch.randn(30, 6)
    copies = base[:3].repeat_interleave(12, 0)
    multiples = base[3] * torch.arange(1, 21)[:, None]
    near = base[4] + 1e-7 * torch.randn(20, 6)
    x = torch.cat([base, copies, multiples, near, torch.zeros(4, 6)])
    return x[torch.randperm(len(x))]


def broken_table():
    """A hard table with rows that are not finite, also twice, and a minus zero."""
    x = hard_table()
    x[50] = x[51] = torch.nan
    x[77, 3], x[9, 0] = torch.inf, -torch.inf
    x[20:23] = torch.tensor([0.0, 1.0, 2.0, 0.0, 1.0, 2.0])
    x[[21, 90], 0] = -0.0
    x[90, 1:] = x[20, 1:]
    return x


def usable(x, duplicates):
    """Rows with a list, by a loop over their values."""
    seen, rows = set(), []
    for number, row in enumerate(x.tolist()):
        key = tuple(value + 0.0 for value in row)
        if not np.isfinite(key).all() or not any(key):
            continue
        if duplicates == "collapse" and key in seen:
            continue
        seen.add(key)
        rows.append(number)
    return torch.tensor(rows)


def in_blocks(x, k, place, **options):
    return read_shards([build_blocks(x, k, place, **options).path])


def assert_same(got, want):
    assert torch.equal(got[0], want[0])
    assert torch.equal(got[1], want[1])


def test_one_hash_over_threads_blocks_shards_and_where_the_rows_lie(tmp_path):
    """36 runs: threads x block x shards x (mapped, memory)."""
    x = hard_table()
    np.save(tmp_path / "x.npy", x.numpy())
    want = graph_digest(*knn_graph(x, 9))
    digests, threads = [], torch.get_num_threads()
    grid = itertools.product([1, 2], [7, 64, 5000], [1, 2, 3], [False, True])
    try:
        for run, (num_threads, rows, shards, mapped) in enumerate(grid):
            torch.set_num_threads(num_threads)
            features = tmp_path / "x.npy" if mapped else x.numpy()
            folders = [tmp_path / f"{run}-{shard}" for shard in range(shards)]
            for shard, folder in enumerate(folders, start=1):
                part = f"{shard}/{shards}"
                build_blocks(features, 9, folder, block_rows=rows, shard=part)
            digests.append(merge_shards(folders, tmp_path / f"{run}")["graph_sha256"])
    finally:
        torch.set_num_threads(threads)
    assert digests == [want] * 36


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_lists_are_those_of_the_graph_in_memory(
    tmp_path, metric, include_self, backend
):
    x = hard_table()
    options = {"metric": metric, "include_self": include_self}
    for k in (1, 40, 500):
        got = in_blocks(x, k, tmp_path / f"{k}", **options, block_rows=33)
        assert_same(got, knn_graph(x, k, **options))


@pytest.mark.parametrize("duplicates", ["keep", "collapse"])
@pytest.mark.parametrize("metric", METRICS)
def test_policies_are_those_of_the_graph_in_memory(tmp_path, metric, duplicates):
    """Blocks x shards x k, and a graph of the rows that are left alone."""
    x = broken_table()
    policies = {"metric": metric, "nan": "isolate", "duplicates": duplicates}
    rows, zeros = usable(x, duplicates), int((x == 0).all(1).sum())
    for k, block_rows, shards in ((9, 7, 3), (9, 64, 2), (9, 5000, 1), (500, 33, 2)):
        folders = [tmp_path / f"{k}-{block_rows}-{n}" for n in range(shards)]
        for n, folder in enumerate(folders, start=1):
            options = {"block_rows": block_rows, "shard": f"{n}/{shards}", **policies}
            build_blocks(x, k, folder, **options)
        out = merge_shards(folders, tmp_path / f"{k}-{block_rows}")
        assert out["graph_sha256"] == graph_digest(*knn_graph(x, k, **policies))
        index, similarity = knn_graph(x[rows], k, metric=metric)
        assert out["graph_sha256"] == graph_digest(rows[index], similarity)
        counts = [out[f"{kind}_rows"] for kind in ("zero", "nan", "collapsed")]
        assert counts == [zeros, 4, 110 - zeros - 4 - len(rows)]


def test_collapsed_rows_may_leave_nobody(tmp_path):
    x = torch.ones(9, 2)
    got = in_blocks(x, 3, tmp_path / "w", duplicates="collapse", block_rows=2)
    assert_same(got, knn_graph(x, 3, duplicates="collapse"))
    assert got[0].shape == (2, 0)
    x[4:] = torch.nan
    options = {"nan": "isolate", "duplicates": "collapse", "include_self": True}
    got = in_blocks(x, 3, tmp_path / "v", block_rows=2, **options)
    assert_same(got, knn_graph(x, 3, **options))
    assert got[0].tolist() == [[0], [0]]


def test_thousands_of_ties_at_the_boundary(tmp_path):
    """Two directions, unequal rows: every cosine within one is exactly 1 or nearly."""
    length = torch.arange(1.0, 1501)
    x = torch.cat([length[:, None] * torch.tensor([3.0, 4.0]), torch.ones(1500, 2)])
    x = x[torch.randperm(len(x))]
    assert_same(in_blocks(x, 5, tmp_path / "w", block_rows=700), knn_graph(x, 5))


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", "<i4", "u1", "?"])
def test_other_types_of_number(tmp_path, dtype):
    x = (torch.randn(50, 6).numpy() * 3).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    want = knn_graph(x.astype(x.dtype.newbyteorder("=")), 4)
    assert_same(in_blocks(tmp_path / "x.npy", 4, tmp_path / "w", block_rows=20), want)
    fortran = np.asfortranarray(x)
    np.save(tmp_path / "f.npy", fortran)
    assert_same(in_blocks(tmp_path / "f.npy", 4, tmp_path / "f", block_rows=20), want)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_small_and_empty_tables(tmp_path, rows, value):
    x = np.full((rows, 3), value, np.float32)
    np.save(tmp_path / "x.npy", x)
    want = knn_graph(x, 5)
    assert_same(in_blocks(x, 5, tmp_path / "w"), want)
    work = build_blocks(tmp_path / "x.npy", 5, tmp_path / "v", block_rows=2)
    assert_same(read_shards([work.path]), want)
    out = merge_shards([work.path], tmp_path / "graph")
    assert (out["num_nodes"], out["num_edges"]) == (rows, want[0].size(1))


def test_a_build_goes_on_and_keeps_what_is_there(tmp_path):
    x = torch.randn(60, 4)
    seen = []
    work = build_blocks(x, 3, tmp_path, block_rows=10)
    want = read_shards([work.path])
    kept = work.path / "block-000001.safetensors"
    before = kept.stat().st_mtime_ns
    for number in (0, 4):
        (work.path / f"block-{number:06d}.safetensors").unlink()
    assert work.missing() == [0, 4]
    build_blocks(x, 3, tmp_path, block_rows=10, on_block=lambda *now: seen.append(now))
    assert seen == [(5, 6), (6, 6)]
    assert kept.stat().st_mtime_ns == before
    assert_same(read_shards([work.path]), want)


def test_a_folder_of_another_build_is_refused_and_left_alone(tmp_path):
    x = torch.randn(20, 4)
    work = build_blocks(x, 3, tmp_path / "w", block_rows=10)
    other = x.clone()
    other[7, 2] += 1
    cases = [
        ((other, 3), {}, r"w: made with input.sha256 '\w{64}', now it is '\w{64}' - "),
        ((x[:12], 3), {}, r"w: made with input.rows 20, now it is 12 - give the same"),
        ((x.double(), 3), {}, r"made with input.dtype 'float32', now it is 'float64'"),
        ((x, 4), {}, r"w: made with options.k 3, now it is 4 - give the same features"),
        ((x, 3), {"metric": "l2"}, r"options.metric 'cosine', now it is 'l2'"),
        ((x, 3), {"include_self": True}, r"options.include_self False, now it is True"),
        ((x, 3), {"nan": "isolate"}, r"options.nan 'refuse', now it is 'isolate' - g"),
        ((x, 3), {"duplicates": "collapse"}, r"duplicates 'keep', now it is 'collaps"),
        ((x, 3), {"block_rows": 5}, r"w: made with blocks.rows 10, now it is 5"),
    ]
    before = sorted(path.name for path in work.path.iterdir())
    for words, options, message in cases:
        with pytest.raises(UserError, match=message):
            build_blocks(*words, tmp_path / "w", **{"block_rows": 10, **options})
    assert sorted(path.name for path in work.path.iterdir()) == before


def test_a_build_of_version_0_1_goes_on(tmp_path):
    x = torch.randn(9, 2)
    begun = build_blocks(x, 1, tmp_path, block_rows=3, shard="1/2")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["versions"]["mmgraph"] == "0.1.0"  # as that version wrote it
    assert begun.missing() == [1]
    assert build_blocks(x, 1, tmp_path, block_rows=3).missing() == []


def test_a_version_of_other_numbers_is_refused(tmp_path, monkeypatch):
    x = torch.randn(5, 2)
    build_blocks(x, 1, tmp_path)
    module = sys.modules["mmgraph.knn.blocks"]
    monkeypatch.setattr(module, "SAME_SINCE", "99.0")
    with pytest.raises(UserError, match=r"versions.mmgraph '.*', now it is '99.0'"):
        build_blocks(x, 1, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, r"'k' must be at least 1 \(got 0\)"),
        ({"metric": "dot"}, r"'metric' must be one of .* \(got 'dot'\)"),
        ({"nan": "drop"}, r"'nan' must be one of .* \(got 'drop'\)"),
        ({"duplicates": "drop"}, r"'duplicates' must be one of .* \(got 'drop'\)"),
        ({"backend": "annoy"}, r"'backend' must be one of .* \(got 'annoy'\)"),
        ({"block_rows": 0}, r"'block_rows' must be at least 1 or null \(got 0\)"),
        ({"shard": "3/2"}, r"no such shard: '3/2' - write i/n with i from 1 to n"),
        ({"shard": "a"}, r"no such shard: 'a' - write i/n"),
        ({"ram": "10MB"}, r"ram must be at least 403 MB .* \(got 10MB\)"),
        ({"ram": "lots"}, r"ram must be a size such as .* \(got 'lots'\)"),
        ({"executor": in_processes(2)}, r"read features from a .npy file: name one"),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build_blocks(torch.ones(3, 2), **{"k": 1, "folder": tmp_path / "w", **options})


def test_bad_rows_are_named(tmp_path):
    x = np.ones((5, 2), np.float32)
    x[3, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(UserError, match=r"x.npy: features must be finite: row 3 holds"):
        build_blocks(tmp_path / "x.npy", 2, tmp_path / "w")
    with pytest.raises(ValueError, match=r"finite: row 3 holds NaN or infinity"):
        build_blocks(x, 2, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_the_device_does_not_change_the_lists(tmp_path, device):
    x = hard_table()
    got = in_blocks(x, 9, tmp_path, block_rows=50, device=str(device))
    assert torch.equal(got[0], knn_graph(x, 9, backend="torch")[0])
