from __future__ import annotations

from contextlib import contextmanager

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs.executors import SequentialExecutor, watch_task
from mmgraph.bench.jobs.task import Task, TaskResult
from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError

RUN = run_config(ModelSpec("MF-BPR"), {"epochs": 7})


def test_a_task_is_done_when_it_is_waited_for_and_makes_room():
    told = []

    def do(task, on_epoch):
        told.append(task.key)
        return TaskResult({"key": task.key})

    with SequentialExecutor(do) as workers:
        assert workers.wait() is None
        workers.start(Task(RUN, 1, "a"))
        assert not workers.has_room()
        assert told == []
        task, outcome = workers.wait()
        assert (task.key, outcome.line) == ("a", {"key": "a"})
        assert told == ["a"]
        assert workers.has_room()


def test_the_error_of_a_user_is_handed_over_and_the_next_task_goes_on():
    mistake = UserError("it diverges", "lower lr")

    def do(task, on_epoch):
        if task.key == "a":
            raise mistake
        return TaskResult({})

    workers = SequentialExecutor(do)
    workers.start(Task(RUN, 1, "a"))
    assert workers.wait()[1] is mistake
    workers.start(Task(RUN, 1, "b"))
    assert workers.wait()[1] == TaskResult({})


def test_a_run_is_watched_by_name_seed_and_epochs_unless_it_is_only_tested(tmp_path):
    seen = []

    @contextmanager
    def watch(label, seed, epochs):
        seen.append((label, seed, epochs))
        yield len

    with watch_task(watch, Task(RUN, 3, "a")) as on_epoch:
        assert on_epoch is len
    with watch_task(watch, Task(RUN, 3, "a", trained=tmp_path)) as on_epoch:
        assert on_epoch is None
    assert seen == [("MF-BPR", 3, 7)]
