from __future__ import annotations

import functools
import importlib.util
import os
import signal
import sys

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn import build_blocks, knn_graph, read_shards
from mmgraph.knn.jobs.block_executor import in_processes, on_ray, one_by_one

quick = functools.partial(in_processes, start_method="fork")


def note(folder, number):
    """A task whose runs can be counted."""
    with open(folder / str(number), "a") as file:
        file.write("x")


def die_once(folder, number):
    """Killed in the middle of number 2, the first time."""
    note(folder, number)
    if number == 2 and len((folder / "2").read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def die_always(number):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number):
    raise UserError(f"block {number}", "mend it", path="x.npy")


@pytest.mark.parametrize("executor", [one_by_one, quick(1), quick(2)])
def test_every_number_is_run_once_and_told_when_done(tmp_path, executor):
    task = functools.partial(note, tmp_path)
    assert sorted(executor(task, [3, 5, 8, 13])) == [3, 5, 8, 13]
    runs = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert runs == {"3": "x", "5": "x", "8": "x", "13": "x"}
    assert list(executor(task, [])) == []


def test_a_killed_worker_is_replaced_and_its_block_made_again(tmp_path):
    task = functools.partial(die_once, tmp_path)
    assert sorted(quick(2)(task, range(6))) == list(range(6))
    assert (tmp_path / "2").read_text() == "xx"


def test_workers_that_keep_dying_end_the_build():
    message = r"the workers died 2 times at blocks 4, 5 - use fewer workers or less ram"
    with pytest.raises(UserError, match=message):
        list(quick(2, attempts=2)(die_always, [4, 5, 6]))


def test_an_error_of_the_task_comes_through_whole():
    with pytest.raises(UserError, match=r"^x\.npy: block 7 - mend it$"):
        list(quick(2)(refuse, [7]))


def test_numbers_of_workers_are_checked():
    with pytest.raises(ValueError, match=r"'workers' must be at least 1 \(got 0\)"):
        in_processes(0)


def test_processes_build_the_graph_of_one(tmp_path):
    """With a fresh interpreter, as users have it."""
    x = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    work = build_blocks(
        tmp_path / "x.npy", 4, tmp_path / "w", block_rows=20, executor=in_processes(1)
    )
    edge_index, similarity = read_shards([work.path])
    want = knn_graph(x, 4)
    assert torch.equal(edge_index, want[0])
    assert torch.equal(similarity, want[1])


def test_without_ray_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^Ray is not installed - pip install 'mmgra"):
        on_ray()


def test_the_loop_over_a_cluster_without_ray(tmp_path, monkeypatch):
    from fake_ray import FakeRay  # not above: workers of Ray import this file

    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    run = on_ray("10.0.0.1:6379", attempts=4, num_gpus=1)
    assert sorted(run(functools.partial(note, tmp_path), range(3, 8))) == [
        3,
        4,
        5,
        6,
        7,
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4", "5", "6", "7"]
    resources = {"max_retries": 3, "num_gpus": 1}
    assert fake.calls == ["10.0.0.1:6379", resources, "shutdown"]
    with pytest.raises(UserError, match=r"^x\.npy: block 1 - mend it$"):
        list(run(refuse, [1]))


def test_a_block_whose_workers_are_lost_and_no_cluster_are_told(monkeypatch):
    from fake_ray import FakeRay, RayError

    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)

    def lost(future):
        raise RayError

    def nobody(address, log_to_driver):
        raise ConnectionError("nobody answers\nat all")

    monkeypatch.setattr(fake, "get", lost)
    with pytest.raises(UserError) as error:
        list(on_ray("auto")(str, [1]))
    assert str(error.value) == (
        "a block: its worker was lost 3 times (RayError) - see that its memory "
        "suffices, and run the command again, which keeps what is finished"
    )
    monkeypatch.setattr(fake, "init", nobody)
    with pytest.raises(UserError, match=r"^no Ray cluster at 10\.0\.0\.1:1 \(nobody"):
        list(on_ray("10.0.0.1:1")(str, [1]))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_ray_repeats_the_block_of_a_killed_worker(tmp_path):
    task = functools.partial(die_once, tmp_path)
    assert sorted(on_ray(num_cpus=1)(task, range(4))) == list(range(4))
    assert (tmp_path / "2").read_text() == "xx"
