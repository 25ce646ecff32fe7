from __future__ import annotations

import shutil
import time

import pytest

from mmgraph.errors import UserError
from mmgraph.serving.server import bound_socket, load_service, taking_over


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


def test_a_new_run_is_taken_over_and_a_damaged_one_is_not(vbpr, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(vbpr, folder)
    taken, loads = [], []

    def load():
        loads.append(1)
        return load_service(folder)

    with taking_over(folder, load, taken.append, every=0.01):
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
