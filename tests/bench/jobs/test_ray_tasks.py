"""A benchmark on a Ray cluster; where Ray is not installed, its loop alone."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ray import FakeRay, RayError

from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.jobs.processes import TaskData
from mmgraph.bench.jobs.ray_tasks import RayTasks
from mmgraph.bench.jobs.task import Task
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.data import write_dataset
from mmgraph.errors import UserError

TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray"
)


@pytest.fixture
def fake(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


@pytest.fixture(scope="module")
def source(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    return DataSource(str(folder))


@pytest.fixture
def task_data(source):
    return TaskData(source, source.load()[1], "cpu", 1)


def task(text="MF-BPR:embedding_dim=4,epochs=2", seed=3):
    run = run_config(parse_spec(text))
    return Task(run, seed, run.key(seed, ""))


def bench(source, out, epochs=2, **options):
    text = f"embedding_dim=4,patience=1000,epochs={epochs}"
    specs = [parse_spec(f"{name}:{text}") for name in ("MF-BPR", "VBPR")]
    return run_benchmark(specs, source, out, seeds=[1, 2], device="cpu", **options)


def without_times(lines):
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def test_lines_are_those_of_one_process(fake, source, tmp_path):
    expected = without_times(bench(source, tmp_path / "here", jobs=1))
    found = bench(source, tmp_path / "ray", ray="10.0.0.1:6379")
    assert without_times(found) == expected
    resources = {"num_cpus": 1, "num_gpus": 0, "max_retries": 2}
    assert fake.calls == ["10.0.0.1:6379", resources, "shutdown"]


@pytest.mark.parametrize(
    ("in_cluster", "device", "asked", "given"),
    [
        (2, "auto", None, 1),
        (2, "cpu", None, 0),
        (0, "auto", None, 0),
        (2, "auto", 0.5, 0.5),
    ],
)
def test_gpus_of_a_run(fake, task_data, in_cluster, device, asked, given):
    fake.gpus = in_cluster
    with RayTasks("auto", replace(task_data, device=device), gpus=asked):
        pass
    assert fake.calls[1]["num_gpus"] == given


def test_a_run_shows_its_last_epoch(fake, task_data):
    seen = []

    @contextmanager
    def watch(label, seed, epochs):
        yield lambda row: seen.append((seed, row["epoch"]))
        seen.append("end")

    with RayTasks("auto", task_data, watch=watch) as ray:
        ray.start(task(seed=7))
        done, result = ray.wait()
        assert ray.wait() is None
    assert done.seed == 7
    assert result.line["epochs"] == 2
    assert seen == [(7, 2), "end"]


def test_a_cluster_of_this_process_stays(fake, task_data):
    fake.started = True
    with RayTasks("auto", task_data):
        pass
    assert fake.calls == [{"num_cpus": 1, "num_gpus": 0, "max_retries": 2}]


def test_other_data_on_a_machine(fake, task_data):
    with RayTasks("auto", replace(task_data, data_sha256="0")) as ray:
        ray.start(task())
        with pytest.raises(UserError, match="the data changed while the benchmark ran"):
            ray.wait()


def test_another_version_on_a_machine(fake, task_data, monkeypatch):
    with RayTasks("auto", task_data) as ray:
        future = ray._remote.remote(task(), task_data, "0.0.1")
        kind, content = future.result()
    assert kind == "unready"
    assert content.fix == "install 0.0.1, as here, on all of them"


def test_a_refused_run_is_its_own_error(fake, task_data):
    with RayTasks("auto", task_data) as ray:
        ray.start(task("MF-BPR:lr=1e30,epochs=2"))
        _, error = ray.wait()
    assert isinstance(error, UserError)


def test_a_worker_that_is_lost_again_and_again(fake, task_data, monkeypatch):
    def lost(future):
        raise RayError

    monkeypatch.setattr(fake, "get", lost)
    with RayTasks("auto", task_data) as ray:
        ray.start(task())
        with pytest.raises(UserError) as error:
            ray.wait()
    assert str(error.value) == (
        "MF-BPR:embedding_dim=4,epochs=2 seed 3: its worker was lost 3 times "
        "(RayError) - see that its memory suffices, and go on with --resume"
    )


def test_without_a_cluster(fake, task_data, monkeypatch):
    def nobody(address, log_to_driver):
        raise ConnectionError("nobody answers\nat all")

    monkeypatch.setattr(fake, "init", nobody)
    with pytest.raises(UserError) as error, RayTasks("10.0.0.1:1", task_data):
        pass
    assert str(error.value) == (
        "no Ray cluster at 10.0.0.1:1 (nobody answers) - start one with ray start "
        "--head, or give its address"
    )


def test_without_ray_nothing_is_begun(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^Ray is not installed - pip install 'mmgra"):
        bench(source, tmp_path / "out", ray="auto")
    assert not (tmp_path / "out").exists()


@needs_ray
@pytest.mark.slow  # it needs a run that is under way when another ends
def test_a_killed_worker_leaves_the_same_lines(source, tmp_path):
    import ray

    expected = without_times(bench(source, tmp_path / "here", 300, jobs=1))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        killed = []

        @contextmanager
        def watch(label, seed, epochs):
            def on_epoch(row):
                working = _workers_of_ray()
                if not killed and working:  # a run has ended, another is under way
                    os.kill(working[0], signal.SIGKILL)
                    killed.append(working[0])

            yield on_epoch

        found = bench(source, tmp_path / "ray", 300, ray="auto", watch=watch)
    finally:
        ray.shutdown()
    assert killed
    assert without_times(found) == expected


def _workers_of_ray():
    """Processes that do a task now."""
    names = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [
        int(pid)
        for pid, path in names.items()
        if path.exists() and path.read_bytes().startswith(b"ray::_perform")
    ]
