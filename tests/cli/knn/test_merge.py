from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError


def test_merged_graphs_are_those_of_one_build(tmp_path, knn, x):
    for name, table in (("a", x), ("b", x[:, :3].copy())):
        np.save(tmp_path / f"{name}.npy", table)
        knn("build", tmp_path / f"{name}.npy", "--out", tmp_path / f"{name}.npz")
    one, both = tmp_path / "one.pt", tmp_path / "both.pt"
    knn("build", tmp_path / "a.npy", tmp_path / "b.npy", "--out", one)
    result = knn("merge", tmp_path / "a.npz", tmp_path / "b.npz", "--out", both)
    assert result == knn("info", both)
    assert [row["num_edges"] for row in result["graphs"].values()] == [590, 590]
    got, want = (torch.load(path, weights_only=True) for path in (both, one))
    assert got.keys() == want.keys()
    for name in ("a", "b"):
        key = ("item", f"similar_{name}", "item")
        for field in ("edge_index", "edge_sim", "edge_weight"):
            assert torch.equal(got[key][field], want[key][field])
        assert got[key]["knn"] == want[key]["knn"]
    assert knn("info", both) == knn("info", one)


def test_graphs_that_do_not_go_together_are_refused(tmp_path, knn, x):
    for name, table in (("a", x), ("short", x[:30])):
        np.save(tmp_path / f"{name}.npy", table)
        knn("build", tmp_path / f"{name}.npy", "--out", tmp_path / f"{name}.pt")
    a, short, out = (tmp_path / f"{name}.pt" for name in ("a", "short", "out"))
    with pytest.raises(
        UserError, match=r"short\.pt: the items are not those of .*a\.pt"
    ):
        knn("merge", a, short, "--out", out)
    with pytest.raises(UserError, match=r"a\.pt: a second graph of 'a' - leave one"):
        knn("merge", a, a, "--out", out)
    assert not out.exists()
