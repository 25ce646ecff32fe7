"""Real processes and real signals; set MMGRAPH_EXAMPLES for more random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mmgraph
from mmgraph.bench.results_folder import read_results
from mmgraph.cli import main
from mmgraph.cli.signals import (
    Signals,
    Stop,
    be_silent_about_lost_stops,
    end_at_a_signal,
)
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.knn import knn_graph, read_shards
from mmgraph.knn.digest import graph_digest
from mmgraph.knn.jobs import block_plan

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
EXAMPLES = int(os.environ.get("MMGRAPH_EXAMPLES", "0")) or 1
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
LINE = "error: interrupted - run again, with --resume where the command has it\n"
MAIN = "import sys; from mmgraph.cli import main; sys.exit(main())"
#: Many blocks of few rows.
SMALL_BLOCKS = """
from mmgraph.knn.jobs import block_plan
block_plan.CENTRE_BLOCK = block_plan.CENTRE_BLOCK.__class__(20, 20)
"""
#: A process without torch that says when it is in the middle of something.
SMALL = """
import sys, time
from mmgraph.cli import signals
signals.be_silent_about_lost_stops()

def busy():
    print("busy", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)

def work():
{work}

with signals.Signals(for_good=True) as caught:
    try:
        work()
    finally:
        print("clean", flush=True)
print("over", flush=True)
sys.exit(128 + (caught.number or 0))
"""


#: Sends the process a signal when its first larger module is asked for.
FIRST_IMPORTS = """
import os, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "mmgraph.cli.entry_point":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Finder())
"""


def start(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts tests in the background leaves them deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def small(work):
    process = start(SMALL.format(work="\n".join(f"    {x}" for x in work.splitlines())))
    assert process.stdout.readline() == "busy\n"
    return process


@BOTH
@pytest.mark.parametrize("again", [0, 5])
def test_the_first_leaves_the_block_and_later_ones_do_nothing(number, again):
    slow = "try:\n    busy()\nfinally:\n    time.sleep(0.5); print('end', flush=True)"
    process = small(slow)
    for _ in range(1 + again):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (128 + number, "end\nclean\nover\n", "")


@pytest.mark.parametrize(
    "work",
    [
        # Lost in a destructor, in a bare except, turned into another error.
        "class A:\n    def __del__(self): busy()\na = A()\ndel a\nbusy()",
        "try:\n    busy()\nexcept BaseException: pass\nbusy()",
        "try:\n    busy()\nexcept BaseException: raise ValueError from None",
    ],
)
def test_it_gets_through_what_swallows_or_turns_it(work):
    process = small(work)
    process.terminate()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (143, "")
    assert out.endswith("clean\nover\n")


def test_it_waits_for_the_end_of_an_import(tmp_path):
    code = "import time\nprint('busy', flush=True)\ntime.sleep(0.7)\nprint('in')\n"
    (tmp_path / "slow_module.py").write_text(code)
    process = small(
        f"sys.path.insert(0, {str(tmp_path)!r})\nimport slow_module\nbusy()"
    )
    process.terminate()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (143, "")
    assert out.startswith("in\n")


def test_what_the_caller_had_is_put_back_and_ignored_signals_stay_ignored():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    ignored = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Signals(for_good=False) as signals:
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number is None
    finally:
        signal.signal(signal.SIGTERM, ignored)
    with Signals(for_good=False) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signals.number == signal.SIGTERM
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_no_signal_gets_out_while_the_block_is_entered_or_left():
    ends = {Signals.__enter__.__code__, Signals.__exit__.__code__}
    outside, steps = [], 0

    def kill_at(moment):
        def trace(frame, event, _):
            nonlocal steps
            if frame.f_code in ends:
                steps += 1
                if steps == moment:
                    os.kill(os.getpid(), signal.SIGTERM)
            return trace

        return trace

    before = signal.signal(signal.SIGTERM, lambda *_: outside.append(1))
    tracer = sys.gettrace()
    try:
        for moment in range(1, 100):
            steps, came_before = 0, len(outside)
            sys.settrace(kill_at(moment))
            with Signals(for_good=False):
                while steps >= moment and len(outside) == came_before:
                    time.sleep(0.01)
            sys.settrace(tracer)
            if steps < moment:
                break
    finally:
        sys.settrace(tracer)
        signal.signal(signal.SIGTERM, before)
    assert 10 < moment < 99


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError("Signal 2 ignored due to race condition"), 0),
        (Stop(), 0),
        (OSError("another"), 1),
    ],
)
def test_only_an_interruption_is_lost_without_a_word(monkeypatch, error, shown):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    be_silent_about_lost_stops()
    sys.unraisablehook(SimpleNamespace(exc_value=error))
    assert len(told) == shown


def test_another_thread_runs_commands_without_them(capsys):
    codes, before = [], signal.getsignal(signal.SIGTERM)

    def command():
        end_at_a_signal()
        codes.append(main(["--version"]))

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    assert codes == [0]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
@BOTH
def test_a_signal_during_the_first_imports_is_one_line_or_ignored(number, handler):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_IMPORTS.format(number=int(number)) + MAIN, "data"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(number, handler),
    )
    if handler is signal.SIG_DFL:
        expected = (128 + number, LINE)
    else:
        expected = (2, "error: mmgraph data: no command given - see its --help\n")
    assert (done.returncode, done.stderr) == expected


def test_signals_are_answered_before_anything_that_takes_time_is_imported():
    root = str(Path(mmgraph.__file__).parent.parent)
    code = f"import sys\nsys.path.insert(0, {root!r})\nimport mmgraph.cli\n"
    # Without `site`, which imports what the installed packages ask for.
    words = [sys.executable, "-I", "-S", "-c", code + "print(*sys.modules)"]
    imported = subprocess.run(words, capture_output=True, text=True).stdout.split()
    assert "mmgraph.cli.signals" in imported
    large = {"typing", "pathlib", "traceback", "difflib", "mmgraph.cli.entry_point"}
    assert not large & set(imported)


# Whole commands ---------------------------------------------------------------------


def is_ready(process):
    """True once the process handles SIGTERM by itself."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def interrupt(code, words, chance, seconds):
    """Interrupt a command at a random moment; its signal, exit code and stderr."""
    process = start(code, *words)
    while not is_ready(process):
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(chance.uniform(0, seconds))
    number = chance.choice([signal.SIGINT, signal.SIGTERM])
    send = chance.choice([os.kill, os.killpg])
    for _ in range(chance.choice([1, 2])):
        send(process.pid, number)
        time.sleep(chance.uniform(0, 0.2))
    _, err = process.communicate(timeout=300)
    return process, number, err


def assert_clean(process, number, err, folder):
    assert process.returncode in (0, 128 + number)
    assert err == (LINE if process.returncode else "")
    give_up = time.monotonic() + 300  # for the one that counts semaphores
    while is_alive(process.pid):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert temporary(folder) == []


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def temporary(folder):
    return [str(path) for path in folder.rglob(".*")]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("system", ["VBPR", "PAMD"])
def test_training_at_any_moment(catalogue, tmp_path, system):
    words = ["train", system, "--data", catalogue, "--device", "cpu", "--quiet"]
    words += ["--epochs", "25", "--set", "embedding_dim=4", "--out"]
    before = time.monotonic()
    assert main([*map(str, words), str(tmp_path / "whole")]) == 0
    seconds = 2 + time.monotonic() - before
    whole = (tmp_path / "whole" / "model.safetensors").read_bytes()
    chance = random.Random(system)
    for n in range(EXAMPLES):
        out = tmp_path / f"run{n}"
        result = interrupt(MAIN, [*words, out], chance, seconds)
        assert_clean(*result, tmp_path)
        assert main([*map(str, words), str(out), "--resume"]) == 0
        assert (out / "model.safetensors").read_bytes() == whole


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_several_jobs_at_any_moment(catalogue, tmp_path):
    words = ["bench", "MF-BPR", "VBPR", "--data", catalogue, "--device", "cpu"]
    words += ["--seeds", "2", "--jobs", "2", "--threads", "1", "--epochs", "20"]
    words += ["--set", "embedding_dim=4", "--quiet", "--out"]
    before = time.monotonic()
    assert main([*map(str, words), str(tmp_path / "whole"), "--jobs", "1"]) == 0
    seconds = 2 * (time.monotonic() - before) + 5  # it imports twice
    metrics = [line["metrics"] for line in read_results(tmp_path / "whole")]
    chance = random.Random(0)
    for n in range(EXAMPLES):
        out = tmp_path / f"bench{n}"
        result = interrupt(MAIN, [*words, out], chance, seconds)
        assert_clean(*result, tmp_path)
        resumed = [*map(str, words), str(out), "--resume", "--jobs", "1"]
        assert main(resumed) == 0
        assert [line["metrics"] for line in read_results(out)] == metrics


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_blocks_of_a_graph_at_any_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(block_plan, "CENTRE_BLOCK", BlockSize(20, 20))
    x = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    wanted = graph_digest(*knn_graph(torch.from_numpy(x), 10))
    chance = random.Random(0)
    for n in range(EXAMPLES):
        work = tmp_path / f"work{n}"
        words = ["knn", "blocks", tmp_path / "x.npy", "--work", work, "--device", "cpu"]
        words += ["--k", "10", "--workers", "2", "--quiet"]
        assert_clean(*interrupt(SMALL_BLOCKS + MAIN, words, chance, 10), tmp_path)
        assert main([*map(str, words), "--workers", "1"]) == 0
        assert graph_digest(*read_shards([work])) == wanted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_folder_of_data_is_whole_or_absent_at_any_moment(tmp_path):
    chance = random.Random(0)
    for n in range(EXAMPLES):
        out = tmp_path / f"toy{n}"
        words = ["data", "synth", "--users", "3000", "--quiet", "--out", out]
        process, number, err = interrupt(MAIN, words, chance, 8)
        assert_clean(process, number, err, tmp_path)
        assert out.exists() or process.returncode


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_processes_end_with_a_parent_that_is_killed(catalogue, tmp_path):
    words = ["bench", "MF-BPR", "--data", catalogue, "--device", "cpu", "--seeds", "2"]
    words += ["--jobs", "2", "--epochs", "1000000", "--set", "patience=1000000"]
    process = start(MAIN, *words, "--set", "embedding_dim=4", "--out", tmp_path)
    give_up = time.monotonic() + 300
    while len(members(process.pid)) < 4:  # the parent, two, and what counts semaphores
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.kill()
    process.communicate()
    give_up = time.monotonic() + 300
    while members(process.pid):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def members(group):
    """Processes of a group, those left out that are only waiting to be reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            found.append(path.parent.name)
    return found
