from __future__ import annotations

import os
import pickle
import signal
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mmgraph.bench.config import run_config
from mmgraph.bench.failures import MemoryShortageError
from mmgraph.bench.jobs.processes import Processes, TaskData, attempt, result_of
from mmgraph.bench.jobs.task import Task, perform
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.data import write_dataset
from mmgraph.errors import UserError

TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}


@pytest.fixture(scope="module")
def task_data(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    source = DataSource(str(folder))
    return TaskData(source, source.load()[1], "cpu", 1)


def task(text, seed=3):
    run = run_config(parse_spec(text))
    return Task(run, seed, run.key(seed, ""))


def test_tasks_come_back_as_from_this_process_with_their_epochs(task_data):
    rows = {}

    @contextmanager
    def watch(label, seed, epochs):
        rows[seed] = [f"{label} of {epochs}"]
        yield rows[seed].append
        rows[seed].append("end")

    text = "MF-BPR:embedding_dim=4,epochs=2"
    tasks = [task(text, seed) for seed in (1, 2, 3)]
    ended = {}
    with Processes(2, task_data, watch) as processes:
        while len(ended) < 3:
            while tasks and processes.has_room():
                processes.start(tasks.pop())
            done, outcome = processes.wait()
            ended[done.seed] = outcome
        assert processes.wait() is None
        assert len(processes._workers) == 2  # the third task found one idle
    assert not any(worker.process.is_alive() for worker in processes._workers)
    splits, sha256 = task_data.source.load()
    for seed, outcome in ended.items():
        here = perform(
            task(text, seed), splits, data="toy", data_sha256=sha256, device="cpu"
        )
        assert outcome.line.keys() == here.line.keys()
        for key in here.line.keys() - TIMES:
            assert outcome.line[key] == here.line[key]
        for name, values in here.per_user.items():
            assert outcome.per_user[name].tolist() == values.tolist()
        assert rows[seed][0] == f"{text} of 2"
        assert [row["epoch"] for row in rows[seed][1:-1]] == [1, 2]
        assert rows[seed][-1] == "end"


@pytest.mark.usefixtures("quick_start")
def test_errors_cross_over_and_a_process_survives_those_of_the_user(task_data):
    with Processes(1, task_data) as processes:
        for bad in ("MF-BPR:embedding_dim=4,lr=1e38", "VBPR+CLEAR:rank=-1"):
            processes.start(task(bad))
            error = processes.wait()[1]
            splits, sha256 = task_data.source.load()
            where = {"data": "toy", "data_sha256": sha256, "device": "cpu"}
            with pytest.raises(UserError) as here:
                perform(task(bad), splits, **where)
            assert type(error) is type(here.value)
            assert str(error) == str(here.value)
        assert len(processes._workers) == 1
        broken = task("MF-BPR")
        processes.start(replace(broken, run=replace(broken.run, spec=None)))
        with pytest.raises(RuntimeError, match=r"^MF-BPR seed 3: Attrib") as failure:
            processes.wait()
    assert "Traceback" in failure.value.__notes__[0]


def test_a_shortage_of_memory_crosses_over_as_such():
    def short(task, on_epoch):
        raise MemoryShortageError("not enough memory", "use smaller batches")

    sent = pickle.loads(pickle.dumps(attempt(short, task("MF-BPR"))))
    assert isinstance(result_of(task("MF-BPR"), *sent), MemoryShortageError)


@pytest.mark.usefixtures("quick_start")
def test_a_process_that_dies_names_its_task_and_the_others_end(task_data):
    @contextmanager
    def watch(label, seed, epochs):
        def kill(row):
            os.kill(processes._workers[seed].process.pid, signal.SIGKILL)

        yield kill if seed == 1 else None

    long = "MF-BPR:embedding_dim=4,epochs=100000,patience=100000"
    processes = Processes(2, task_data, watch)
    for seed in (0, 1):
        processes.start(task(long, seed))
    with pytest.raises(UserError) as error, processes:
        processes.wait()
    assert str(error.value) == (
        f"{long} seed 1: its process ended with exit code -9 - "
        "use fewer --jobs if memory ran out, and go on with --resume"
    )
    assert [w.process.exitcode for w in processes._workers] == [-9, -9]


@pytest.mark.usefixtures("quick_start")
def test_data_that_changed_meanwhile_end_it_all(task_data):
    # Told of a task, this would look like a grid point that diverged.
    with Processes(1, replace(task_data, data_sha256="0")) as processes:
        processes.start(replace(task("MF-BPR"), test=False))
        with pytest.raises(UserError) as error:
            processes.wait()
    assert str(error.value) == (
        f"{task_data.source.location}: the data changed while the benchmark ran - "
        "run it again on data that stay as they are"
    )
