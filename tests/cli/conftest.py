from __future__ import annotations

import pytest

from mmgraph.cli import main
from mmgraph.data import synthetic, write_dataset


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    """Folder of a tiny planted catalogue."""
    folder = tmp_path_factory.mktemp("data") / "toy"
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    write_dataset(*splits, folder)
    return folder


@pytest.fixture(scope="session")
def run(catalogue, tmp_path_factory):
    """Folder of a small trained run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "MF-BPR:embedding_dim=8,epochs=3", "--data", str(catalogue)]
    assert main([*words, "--out", str(folder), "--device", "cpu", "--quiet"]) == 0
    return folder
