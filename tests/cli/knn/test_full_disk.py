"""Commands that write meet a full disk: one line, and nothing half-written."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from mmgraph.cli import main
from mmgraph.knn import build_blocks

resource = pytest.importorskip("resource", reason="limits files by POSIX")


@contextmanager
def files_of_at_most(size):
    """Beyond it, a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Features, and blocks of them."""
    folder = tmp_path_factory.mktemp("full")
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    np.save(folder / "visual.npy", x)
    build_blocks(x, 10, folder / "work")
    return folder


@pytest.mark.parametrize(
    ("words", "named", "left"),
    [
        (["build", "visual.npy", "--out", "g.pt"], "g.pt", []),
        (["build", "visual.npy", "--out", "g.npz"], "g.npz", []),
        (["build", "visual.npy", "--out", "g.parquet"], "g.parquet", []),
        (
            ["blocks", "visual.npy", "--work", "w"],
            "block-000000.safetensors",
            ["w", "w/manifest.json", "w/survey.safetensors"],
        ),
        (["join", "work", "--out", "joined"], "joined", []),
    ],
)
def test_a_full_disk_is_one_line(folder, words, named, left, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    with files_of_at_most(20_000):  # less than any of the graphs
        code = main(["knn", *words, "--quiet"])
    told = capsys.readouterr().err
    assert code == 2
    assert told.count("\n") == 1
    assert f"{named}: cannot be written (File too large) - check space" in told
    after = {path.relative_to(folder) for path in folder.rglob("*")}
    assert sorted(map(str, after - before)) == left
