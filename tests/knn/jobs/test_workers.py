"""Signals at any moment: workers end, one line is said, and a resume goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from mmgraph.knn import build_blocks, knn_graph, read_shards
from mmgraph.knn.digest import graph_digest
from mmgraph.knn.jobs.workers import Workers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

# A shell that starts tests in the background leaves them deaf to Ctrl-C.
LISTEN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
)
BUILD = """
from mmgraph.knn import build_blocks
from mmgraph.knn.jobs.block_executor import in_processes
if __name__ == "__main__":
    build_blocks(sys.argv[1], 5, sys.argv[2], block_rows=100, executor=in_processes(2))
"""
COMMAND = "from mmgraph.cli import main; sys.exit(main())"


@pytest.fixture
def features(tmp_path):
    x = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy"


def start(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", LISTEN + code, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(condition, seconds):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def lives(group):
    """True if a process of the group does more than wait to be collected."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as file:
                state, _, of_group = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(of_group) == group and state != "Z":
            return True
    return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent_and_a_resume_goes_on(features, number):
    folder = features.parent / "work"
    process = start(BUILD, features, folder)
    wait_until(lambda: len([*folder.glob("block-*")]) > 3, 300)
    assert process.poll() is None
    process.send_signal(number)  # to the parent alone
    process.wait(300)
    wait_until(lambda: not lives(process.pid), 300)  # at once where cores are free
    assert "Traceback" not in process.stderr.read()
    (folder / ".block-000900.safetensors.abc12_xy.mmgraph-part").write_bytes(b"begun")
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("block-*")}
    assert 3 < len(finished) < 30
    work = build_blocks(features, 5, folder, block_rows=100)
    want = graph_digest(*knn_graph(torch.from_numpy(np.load(features)), 5))
    assert graph_digest(*read_shards([work.path])) == want
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    for name, made in finished.items():
        assert (folder / name).stat().st_mtime_ns == made


def test_ctrl_c_while_workers_start_and_once_more_while_they_end_is_one_line(features):
    work = features.parent / "work"
    words = ["knn", "blocks", features, "--work", work, "--workers", 2, "--quiet"]
    code = "from mmgraph.knn.jobs import block_plan\n"
    code += "block_plan.CENTRE_BLOCK = block_plan.CENTRE_BLOCK.__class__(20, 20)\n"
    process = start(code + COMMAND, *words)
    wait_until(lambda: (work / "survey.safetensors").exists(), 300)
    time.sleep(random.Random(2).uniform(0, 0.5))
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.01)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert told.splitlines() == [
        "error: interrupted - run again, with --resume where the command has it"
    ]


def sleep(_):
    time.sleep(300)


def test_an_error_in_the_block_ends_what_runs():
    processes = []

    def fail():
        with Workers(sleep, 2, "fork") as workers:
            workers.start(1)
            workers.start(2)
            processes.extend(worker.process for worker in workers._workers)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def strange(_):
    raise type("OfAPackage", (Exception,), {})("odd")


def test_an_error_that_cannot_travel_is_told():
    with Workers(strange, 1, "fork") as workers:
        workers.start(1)
        with pytest.raises(RuntimeError, match="OfAPackage: odd"):
            workers.wait()
