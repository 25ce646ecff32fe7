"""kill -9 at a random moment, go on, and get the same graph."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback

import numpy as np
import pytest
import torch

from mmgraph.knn import build_blocks, knn_graph, read_shards
from mmgraph.knn.digest import graph_digest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def build(path, folder):
    return build_blocks(path, 5, folder, block_rows=15)


def build_in_a_child(path, folder):
    """A process of its own that can be killed for good."""
    child = os.fork()
    if child:
        return child
    try:
        build(path, folder)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


#: MMGRAPH_KILLS=50 for a longer run.
KILLS = int(os.environ.get("MMGRAPH_KILLS", "3"))


def test_a_killed_build_goes_on_to_the_same_graph(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the system stays alive
    x = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    want = graph_digest(*knn_graph(torch.from_numpy(x), 5))
    start = time.perf_counter()
    build(tmp_path / "x.npy", tmp_path / "whole")
    seconds = time.perf_counter() - start
    moments, finished = random.Random(0), []
    while len(finished) < KILLS:
        folder = tmp_path / f"{len(finished)}"
        child = build_in_a_child(tmp_path / "x.npy", folder)
        time.sleep(moments.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        blocks = {path.name: path.stat().st_mtime_ns for path in folder.glob("block*")}
        if os.WIFSIGNALED(status):  # else it was done before
            finished.append(len(blocks))
            assert len(blocks) <= 20
        assert (
            graph_digest(*read_shards([build(tmp_path / "x.npy", folder).path])) == want
        )
        for name, made in blocks.items():  # what was there was not made again
            assert (folder / name).stat().st_mtime_ns == made
        if not os.WIFSIGNALED(status):
            seconds *= 0.8
            os.rename(folder, tmp_path / f"done-{time.time_ns()}")
    if KILLS >= 50:
        assert len(set(finished)) > 5, "the kills fell on few moments"
