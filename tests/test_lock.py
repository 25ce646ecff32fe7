from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from mmgraph.errors import UserError
from mmgraph.lock import LOCK, locked, locked_folder

HOLD = """
import sys, time
from pathlib import Path
from mmgraph.lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder ``run``."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_folder_of_another_process_is_refused_and_the_process_named(
    tmp_path, holder
):
    message = (
        rf"run: process {holder.pid} on \S+, since 20[-\d]+ [:\d]+, is writing there - "
        "wait until it has ended, or choose another folder"
    )
    with pytest.raises(UserError, match=message), locked_folder(tmp_path / "run"):
        pass
    assert os.listdir(tmp_path / "run") == [LOCK]


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert os.listdir(tmp_path / "run") == [LOCK]
    with locked_folder(tmp_path / "run"):
        (tmp_path / "run" / "a").touch()
    assert os.listdir(tmp_path / "run") == ["a"]


def test_one_of_many_threads_at_a_time_and_no_debris(tmp_path):
    inside, most, refused = [], [], []

    def work():
        for _ in range(100):
            try:
                with locked_folder(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except UserError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert set(most) == {1}
    assert all("is writing there - wait" in message for message in refused)
    assert os.listdir(tmp_path) == []


def test_the_same_thread_does_not_get_it_twice(tmp_path):
    inner = locked_folder(tmp_path)
    pid = os.getpid()
    with (
        locked_folder(tmp_path),
        pytest.raises(UserError, match=f"process {pid} on .* is writing there"),
        inner,
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"a\nb"])
def test_a_holder_that_has_not_said_who_it_is(tmp_path, content):
    file = tmp_path / "lock"
    with locked(file, tmp_path):
        file.write_bytes(content)
        with (
            pytest.raises(UserError, match="another process is writing there"),
            locked(file, tmp_path),
        ):
            pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    message = "file/run: cannot be written .Not a directory"
    with pytest.raises(UserError, match=message), locked_folder(tmp_path / "file/run"):
        pass
    (tmp_path / LOCK).mkdir()
    with pytest.raises(UserError, match="cannot be written"), locked_folder(tmp_path):
        pass


def test_a_folder_that_the_block_removes_is_no_matter(tmp_path):
    with locked_folder(tmp_path / "run"):
        (tmp_path / "run" / LOCK).unlink()
        (tmp_path / "run").rmdir()
    assert os.listdir(tmp_path) == []
