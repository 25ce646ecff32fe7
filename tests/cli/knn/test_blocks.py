from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph
from mmgraph.knn.digest import graph_digest


def test_shards_joined_are_the_graph_in_memory(tmp_path, knn, x):
    np.save(tmp_path / "x.npy", x)
    folders = [tmp_path / "w1", tmp_path / "w2"]
    words = ("blocks", tmp_path / "x.npy", "--k", 4, "--metric", "l2")
    # The table is small: the library gives it more than one block.
    for shard, folder in enumerate(folders, start=1):
        build_blocks(
            tmp_path / "x.npy",
            4,
            folder,
            metric="l2",
            block_rows=25,
            shard=f"{shard}/2",
        )
    result = knn("join", *folders, "--out", tmp_path / "graph")
    want = knn_graph(x, 4, metric="l2")
    assert result["graph_sha256"] == graph_digest(*want)
    assert np.load(tmp_path / "graph" / "edge_index.npy").tolist() == want[0].tolist()
    made = knn(*words, "--work", tmp_path / "w")
    assert (made["blocks"], made["missing"], made["num_nodes"]) == (1, 0, 60)
    again = knn("join", tmp_path / "w", "--out", tmp_path / "again")
    assert again["graph_sha256"] == result["graph_sha256"]
    shown = knn("join", tmp_path / "w", "--out", tmp_path / "third", raw=True)
    assert shown.stdout.startswith(
        f"{tmp_path / 'third'}: 236 edges of 60 items, 1 of zeros, 0 not finite, "
        "0 copies collapsed, sha256"
    )


def test_policies_give_the_graph_in_memory(tmp_path, knn, x):
    x[30, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    words = ("blocks", tmp_path / "x.npy", "--k", 4, "--work", tmp_path / "w")
    with pytest.raises(
        UserError, match=r"x\.npy: .* row 30 holds NaN or infinity - .* --nan isolate$"
    ):
        knn(*words)
    with pytest.raises(
        UserError, match=r"row \d+ is zero - .* --zero isolate$"
    ) as error:
        knn(*words, "--nan", "isolate", "--zero", "refuse")
    assert f"row {np.flatnonzero(~x.any(axis=1))[0]} " in str(error.value)
    assert not (tmp_path / "w").exists()
    knn(*words, "--nan", "isolate", "--duplicates", "collapse")
    result = knn("join", tmp_path / "w", "--out", tmp_path / "graph")
    want = knn_graph(x, 4, nan="isolate", duplicates="collapse")
    assert result["graph_sha256"] == graph_digest(*want)
    kinds = ("nan", "duplicates", "zero_rows", "nan_rows", "collapsed_rows")
    assert [result[kind] for kind in kinds] == ["isolate", "collapse", 1, 1, 4]
    options = ("--nan", "isolate", "--duplicates", "collapse", "--k", 4)
    built = knn("build", tmp_path / "x.npy", *options, "--out", tmp_path / "g.npz")
    assert built["graph_sha256"] == result["graph_sha256"]


def test_other_options_and_bad_words_are_one_line(tmp_path, knn, x):
    path, work = tmp_path / "x.npy", tmp_path / "w"
    np.save(path, x)
    knn("blocks", path, "--work", work)
    cases = [
        (("blocks", path, "--work", work, "--k", 3), r"w: made with options.k 10, now"),
        (("blocks", path, "--work", work, "--shard", "0/2"), r"no such shard: '0/2'"),
        (
            ("blocks", path, "--work", work, "--ram", "1MB"),
            r"x\.npy: ram must be at le",
        ),
        (
            ("blocks", path, "--work", work, "--zero", "drop"),
            "'zero' must be .* 'drop'",
        ),
        (("blocks", path, "--work", work, "--workers", 2, "--ray", "a"), r"give one"),
        (("blocks", tmp_path / "no.npy", "--work", work), r"no\.npy: no such file"),
        (("join", tmp_path / "none", "--out", tmp_path / "g"), r"none: no work folder"),
    ]
    for words, message in cases:
        with pytest.raises(UserError, match=message):
            knn(*words)
    assert not (tmp_path / "g").exists()


def test_an_approximate_graph_reports_its_certificate(tmp_path, knn, monkeypatch):
    pytest.importorskip("faiss", reason="this way of searching is FAISS itself")
    centre = 4 * torch.randn(40, 8)
    x = centre[torch.randint(40, (9000,))] + torch.randn(9000, 8)
    np.save(tmp_path / "x.npy", x.numpy())
    words = ("build", tmp_path / "x.npy", "--k", 5, "--out", tmp_path / "g.npz")
    result = knn(*words, "--recall", 0.9)
    assert result["exact"] is False
    assert 0.9 <= result["recall"]["lower_99"] <= result["recall"]["estimate"] <= 1
    assert result["num_edges"] == 45_000
    new = tmp_path / "new.npy"
    np.save(new, x[:5].numpy())
    insert = ("insert", tmp_path / "g.npz", "--features", new)
    with pytest.raises(UserError, match=r"an approximate graph cannot be extended"):
        knn(*insert, "--out", tmp_path / "h.npz")
    exact = knn(*words)
    assert exact["graph_sha256"] != result["graph_sha256"]
    with pytest.raises(UserError, match=r"^kNN graph: 'recall' must be in \(0, 1\)"):
        knn(*words, "--recall", 2)
