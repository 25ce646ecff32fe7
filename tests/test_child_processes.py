from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from mmgraph.child_processes import end_process, signals_blocked

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")


def test_a_signal_is_handled_at_the_end_of_the_block():
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("handled"))
    try:
        with signals_blocked(), signals_blocked():
            signal.raise_signal(signal.SIGTERM)
            came.append("whole")
        assert came == ["whole", "handled"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_another_thread_takes_is_handled_at_the_end():
    done, came = threading.Event(), []
    thread = threading.Thread(target=done.wait)
    thread.start()
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("handled"))
    try:
        with signals_blocked(), signals_blocked():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            came.append("whole")
        assert came == ["whole", "handled"]
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)


def test_what_is_ignored_stays_so_in_the_block():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_blocked():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_block_ends_where_its_caller_was():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with signals_blocked():
            pass
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_another_thread_blocks_nothing_of_the_main_one():
    inside, done = threading.Event(), threading.Event()

    def run():
        with signals_blocked():
            inside.set()
            done.wait(60)

    came = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: came.set())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert inside.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)
        assert came.wait(60)
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)


def test_a_worker_ends_when_its_parent_is_killed():
    code = """
import sys, time
from multiprocessing import get_context
from mmgraph.child_processes import become_worker

def busy():
    become_worker()
    print("busy", flush=True)
    time.sleep(1000)

get_context("fork").Process(target=busy).start()
time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"busy\n"
    process.kill()
    process.wait()
    # The pipe ends with the last process that can write to it.
    assert select.select([process.stdout], [], [], 300)[0]
    assert process.stdout.read() == b""
    process.stdout.close()


def test_a_worker_that_still_imports_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "slow_module.py").write_text("""
import multiprocessing, time
def work():
    pass
if multiprocessing.current_process().name != "MainProcess":
    print("importing", flush=True)
    time.sleep(1000)
""")
    code = f"""
import sys, time
sys.path.insert(0, {str(tmp_path)!r})
from multiprocessing import get_context
from mmgraph.child_processes import signals_blocked, worker_process
import slow_module
with signals_blocked():
    worker_process(get_context("spawn"), slow_module.work).start()
time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"importing\n"
    process.kill()
    process.wait()
    assert select.select([process.stdout], [], [], 300)[0]
    assert process.stdout.read() == b""
    process.stdout.close()


def test_a_worker_does_not_hear_ctrl_c_and_one_without_a_parent_lives_on():
    code = """
import os, signal
from mmgraph.child_processes import become_worker
become_worker()
os.kill(os.getpid(), signal.SIGINT)
print("lives")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "lives\n")


def test_what_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr("mmgraph.child_processes._SECONDS_TO_END", 0.1)
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(99,))
    process.start()
    end_process(process)
    assert process.exitcode == -signal.SIGKILL
