"""Tasks on a Ray cluster; Ray itself runs in tests/knn/jobs and tests/bench/jobs."""

from __future__ import annotations

import sys

import pytest
from fake_ray import FakeRay, RayError, RayTaskError

import mmgraph
from mmgraph import cluster
from mmgraph.cluster import done_on_cluster, joined_cluster, load_ray
from mmgraph.errors import UserError


@pytest.fixture
def fake(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_without_ray_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^Ray is not installed - pip install 'mmgra"):
        load_ray()


def test_results_carry_the_number_of_their_argument(fake):
    resources = {"num_cpus": 2, "num_gpus": 0.5}
    done = done_on_cluster(fake, str, iter([5, 6, 7]), resources=resources)
    assert sorted(done) == [(0, "5"), (1, "6"), (2, "7")]
    assert fake.calls == [{"max_retries": 2, **resources}]
    assert list(done_on_cluster(fake, str, [])) == []


@pytest.mark.parametrize("in_order", [True, False])
def test_results_come_in_the_order_that_is_asked_for(fake, monkeypatch, in_order):
    def last_first(futures, num_returns):
        assert num_returns == 1
        return [futures[-1]], futures[:-1]

    monkeypatch.setattr(fake, "wait", last_first)
    numbers = [n for n, _ in done_on_cluster(fake, str, range(4), in_order=in_order)]
    assert numbers == ([0, 1, 2, 3] if in_order else [3, 2, 1, 0])


def test_arguments_are_taken_as_there_is_room(fake, monkeypatch):
    monkeypatch.setattr(cluster, "_UNDER_WAY", 3)
    taken = []
    arguments = (taken.append(n) or n for n in range(5))
    done = done_on_cluster(fake, str, arguments, in_order=True)
    seen = [(next(done)[0], len(taken)) for _ in range(5)]
    assert seen == [(0, 3), (1, 4), (2, 5), (3, 5), (4, 5)]


def refuse(number):
    raise UserError(f"row {number}", "mend it", path="x.npy")


def break_down(number):
    raise KeyError(number)


def test_an_error_of_a_task_comes_through_whole(fake):
    with pytest.raises(UserError, match=r"^x\.npy: row 7 - mend it$"):
        list(done_on_cluster(fake, refuse, [7]))
    with pytest.raises(RuntimeError, match=r"^KeyError: 7") as error:
        list(done_on_cluster(fake, break_down, [7]))
    assert "in break_down" in error.value.__notes__[0]


def test_another_version_on_a_machine(fake, monkeypatch):
    assert cluster._attempt(str, 1, mmgraph.__version__) == ("1", None, "")
    _, error, _ = cluster._attempt(str, 1, "0.0.1")
    assert str(error) == (
        f"a machine of the cluster has mmgraph {mmgraph.__version__} - install 0.0.1, "
        "as here, on all of them"
    )


def test_a_task_that_is_lost_again_and_again(fake, monkeypatch):
    def lost(future):
        raise RayError

    monkeypatch.setattr(fake, "get", lost)
    with pytest.raises(UserError) as error:
        list(done_on_cluster(fake, str, [1], what="a share", attempts=2))
    assert str(error.value) == (
        "a share: its worker was lost 2 times (RayError) - see that its memory "
        "suffices, and start again"
    )


def test_a_machine_that_cannot_read_a_task(fake, monkeypatch):
    def unread(future):
        raise RayTaskError("ray::_attempt()\nModuleNotFoundError: No module named 'x'")

    monkeypatch.setattr(fake, "get", unread)
    with pytest.raises(UserError) as error:
        list(done_on_cluster(fake, str, [1], what="a share"))
    assert str(error.value) == (
        "a share: a machine of the cluster cannot read it (ModuleNotFoundError: No "
        f"module named 'x') - install mmgraph {mmgraph.__version__} and what it needs "
        "on all of them"
    )


def test_a_cluster_is_left_however_the_block_ends(fake):
    with joined_cluster("10.0.0.1:6379") as ray:
        assert ray is fake
    with pytest.raises(KeyError), joined_cluster("auto"):
        raise KeyError
    assert fake.calls == ["10.0.0.1:6379", "shutdown", "auto", "shutdown"]


def test_a_cluster_of_this_process_stays(fake):
    fake.started = True
    with joined_cluster("auto"):
        pass
    assert fake.calls == []


def test_without_a_cluster(fake, monkeypatch):
    def nobody(address, log_to_driver):
        raise ConnectionError("nobody answers\nat all")

    monkeypatch.setattr(fake, "init", nobody)
    with pytest.raises(UserError) as error, joined_cluster("10.0.0.1:1"):
        pass
    assert str(error.value) == (
        "no Ray cluster at 10.0.0.1:1 (nobody answers) - start one with ray start "
        "--head, or give its address"
    )
