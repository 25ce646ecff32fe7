from __future__ import annotations

import shutil
import threading
import time

import pytest

from mmgraph.errors import UserError
from mmgraph.serving.server import (
    bound_socket,
    host_name,
    load_service,
    run_digest,
    served_names,
    taking_over,
)


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_port_in_use_and_no_address_are_one_line():
    with bound_socket("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot serve on 127.0.0.1:{port} \\("):
            bound_socket("127.0.0.1", port)
    with pytest.raises(UserError, match=r"cannot serve on no\.such\.host\.invalid:1 "):
        bound_socket("no.such.host.invalid", 1)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shop.example", "shop.example"),
        ("10.0.0.7", "10.0.0.7"),
        ("[::1]", "[::1]"),
        ("0:0::1", "[::1]"),
    ],
)
def test_names_of_hosts_are_as_requests_have_them(text, name):
    assert host_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "*", "http://shop.example", "shop.example:80", "a@b", "-a", "caf\xe9.fr"],
)
def test_what_is_no_name_of_a_host_is_refused(text):
    with pytest.raises(UserError, match="is no name of a host - give it as in shop"):
        host_name(text)


def test_names_are_checked_on_loopback_and_where_some_are_given():
    loopback = {"localhost", "127.0.0.1", "[::1]"}
    assert served_names("localhost", "127.0.0.1", []) == loopback
    assert served_names("::1", "::1", ["shop.example"]) == {*loopback, "shop.example"}
    assert served_names("Desk", "127.0.1.1", []) == {*loopback, "desk", "127.0.1.1"}
    assert served_names("0.0.0.0", "0.0.0.0", []) is None
    assert served_names("::", "::", []) is None
    names = served_names("0.0.0.0", "0.0.0.0", ["shop.example"])
    assert names == {*loopback, "0.0.0.0", "shop.example"}


def test_a_new_run_is_taken_over_and_a_damaged_one_is_not(vbpr, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(vbpr, folder)
    taken, loads = [], []

    def load():
        loads.append(1)
        return load_service(folder)

    served = run_digest(folder)
    with taking_over(folder, served, load, taken.append, every=0.01):
        info = (folder / "run.json").read_bytes()
        time.sleep(0.1)
        assert loads == []
        (folder / "run.json").write_bytes(b"{")
        wait_for(lambda: "the new run is not served" in caplog.text)
        assert taken == []
        (folder / "run.json").write_bytes(info)
        wait_for(lambda: taken)
        count = len(loads)
        time.sleep(0.1)
        assert len(loads) == count  # each state is loaded once
    assert taken[0].system.startswith("VBPR")


@pytest.fixture
def folder(tmp_path):
    """A folder whose run.json says which run it is."""
    (tmp_path / "run.json").write_text("1")
    return tmp_path


def put_run(folder, text):
    """Another run.json, whole from the start, as a run takes the place of another."""
    (folder / "next.json").write_text(text)
    (folder / "next.json").replace(folder / "run.json")


def loader(folder, failures):
    """Loads what run.json says, or fails as its content wants it; and its loads."""
    loads = []

    def load():
        loads.append((folder / "run.json").read_text())
        if loads[-1] in failures:
            raise failures[loads[-1]]
        return loads[-1]

    return load, loads


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (RuntimeError("can't\nallocate"), "is not served: RuntimeError can't allocate"),
        (PermissionError(13, "no right", "w"), "PermissionError [Errno 13] no right"),
        (MemoryError(), "is not served: MemoryError"),
    ],
)
def test_whatever_fails_is_logged_once_and_the_next_run_is_taken(
    folder, caplog, failure, words
):
    taken = []
    load, loads = loader(folder, {"2": failure})
    with taking_over(folder, run_digest(folder), load, taken.append, every=0.01):
        put_run(folder, "2")
        wait_for(lambda: words in caplog.text)
        time.sleep(0.1)
        assert loads.count("2") == 1
        put_run(folder, "3")
        wait_for(lambda: taken)
    assert taken == ["3"]
    assert len(caplog.records) == 1  # a warning, of one line


def test_a_run_that_is_away_for_a_moment_is_looked_for_again(folder, caplog):
    taken = []
    load, _ = loader(folder, {})
    with taking_over(folder, run_digest(folder), load, taken.append, every=0.01):
        (folder / "run.json").unlink()
        time.sleep(0.1)
        put_run(folder, "2")
        wait_for(lambda: taken)
    assert (taken, caplog.text) == (["2"], "")


def test_a_run_that_came_while_the_first_was_loaded_is_taken_over(folder):
    taken = []
    load, _ = loader(folder, {})
    served = run_digest(folder)
    first = load()
    put_run(folder, "2")
    with taking_over(folder, served, load, taken.append, every=0.01):
        wait_for(lambda: taken)
    assert (first, taken) == ("1", ["2"])


def test_the_end_waits_for_no_run_that_is_being_loaded(folder):
    taken, begun, may_end = [], threading.Event(), threading.Event()

    def load():
        begun.set()
        assert may_end.wait(60)

    try:
        with taking_over(folder, run_digest(folder), load, taken.append, every=0.01):
            put_run(folder, "2")
            assert begun.wait(60)
            (thread,) = (t for t in threading.enumerate() if t.name.startswith("mmgr"))
        assert thread.is_alive()
    finally:
        may_end.set()
    thread.join(60)
    assert not thread.is_alive()
    assert taken == []
