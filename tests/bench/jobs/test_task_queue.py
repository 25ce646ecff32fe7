from __future__ import annotations

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs.task import Task
from mmgraph.bench.jobs.task_queue import TaskQueue
from mmgraph.bench.spec import ModelSpec

RUN = run_config(ModelSpec("MF-BPR"))


def task(key, test=True):
    return Task(RUN, 1, key, test=test)


def system(*rounds):
    return iter([[task(key) for key in keys] for keys in rounds])


def drain(queue):
    """Keys in the order of a single worker."""
    keys = []
    while (following := queue.take()) is not None:
        keys.append(following.key)
        queue.finish(following)
    return keys


def test_a_single_worker_finishes_system_after_system():
    queue = TaskQueue([system("ab", "c"), system("d", "ef")])
    assert drain(queue) == list("abcdef")
    assert [t.key for t in queue.order()] == list("abcdef")


def test_a_free_worker_goes_to_the_next_system_instead_of_waiting():
    queue = TaskQueue([system("ab", "c"), system("d", "e")])
    taken = [queue.take() for _ in range(4)]
    assert [t and t.key for t in taken] == ["a", "b", "d", None]
    queue.finish(taken[1])
    assert queue.take() is None  # the round of a is not over
    queue.finish(taken[2])
    assert queue.take().key == "e"
    queue.finish(taken[0])
    assert queue.take().key == "c"


def test_the_order_is_that_of_a_single_worker_however_many_worked():
    queue = TaskQueue([system("ab", "c"), system("d", "e")])
    taken = [queue.take() for _ in range(3)]
    for done in reversed(taken):
        queue.finish(done)
    assert sorted(drain(queue)) == ["c", "e"]
    assert [t.key for t in queue.order()] == list("abcde")


def test_what_two_systems_ask_for_is_done_once():
    queue = TaskQueue([system("a", "b"), system("a", "c")])
    assert drain(queue) == ["a", "b", "c"]


def test_what_is_finished_already_is_skipped_and_a_test_is_another_task():
    rounds = iter([[task("a", test=False), task("b", test=False)], [task("a")]])
    queue = TaskQueue([rounds], [("a", False)])
    assert drain(queue) == ["b", "a"]


def test_systems_without_anything_to_do_end():
    assert drain(TaskQueue([])) == []
    assert drain(TaskQueue([iter([]), iter([[]])])) == []
