"""Processes that are killed, hung or different: all end, and one line says why."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launched import SECONDS, command_line

from mmgraph.distributed import group
from mmgraph.distributed.exchange import ConnectionLostError
from mmgraph.distributed.group import joined_processes
from mmgraph.errors import UserError
from mmgraph.train.checkpoint import load_checkpoint

SHARED = ("--set", "shard_embeddings=true")
ENDLESS = ("--epochs", "100000", "--set", "patience=100000")


def train(out, *words, spec="MF-BPR"):
    return ("train", spec, "--out", out, "--quiet", *words)


def lines_of(path):
    return path.read_text().count("\n") if path.exists() else 0


def has_begun(out):
    return lambda: lines_of(out / "history.jsonl") >= 3


def test_joining_alone_changes_nothing():
    with joined_processes("cpu") as device:
        assert device == "cpu"


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_all_and_is_named(
    launch_command, wait_until, errors, tmp_path, killed
):
    out = tmp_path / "run"
    group = launch_command(2, *train(out, *ENDLESS))
    wait_until(has_begun(out))
    group.all[killed].kill()
    group.all[killed].join()
    outputs = group.outputs()  # long before it would count as hung
    (line,) = errors(outputs)
    if killed:
        pid, host = group.all[1].pid, socket.gethostname()
        assert line == (
            f"error: process 1 (pid {pid} on {host}) of 2 is gone - start again with "
            "--resume"
        )
        load_checkpoint(out / "checkpoint")
    else:  # with it the store is gone, which torchrun itself would keep
        assert "connection to another process is lost" in line
    assert outputs[1 - killed][0] not in (0, None)


def test_a_killed_process_with_columns_of_its_own_ends_all(
    launch_command, wait_until, errors, tmp_path
):
    """Nobody has the whole state, so what was written last counts: here, nothing."""
    out = tmp_path / "run"
    group = launch_command(2, *train(out, *ENDLESS, *SHARED))
    wait_until(has_begun(out))
    group.all[1].kill()
    outputs = group.outputs()
    (line,) = errors(outputs)
    assert line.startswith("error: process 1 (pid ")
    assert "is gone - start again with --resume" in line
    words = train(out, "--epochs", "1", *SHARED, "--resume")
    assert [code for code, *_ in launch_command(2, *words).outputs()] == [0, 0]


@pytest.mark.slow
def test_twenty_kills_change_nothing(launch_command, wait_until, errors, tmp_path):
    """One process after the other is killed and the run resumed: bit-equal."""
    out, whole = tmp_path / "run", tmp_path / "whole"
    words = ("--epochs", "150", "--set", "patience=1000")
    kills = 0
    for _ in range(20):
        group = launch_command(2, *train(out, *words, "--resume"))
        there = lines_of(out / "history.jsonl")
        wait_until(lambda there=there: lines_of(out / "history.jsonl") > there + 2)
        group.all[1].kill()
        group.all[1].join()
        outputs = group.outputs()
        kills += len(errors(outputs)) == 1 and "is gone" in errors(outputs)[0]
    assert kills == 20
    for folder in (out, whole):
        outputs = launch_command(2, *train(folder, *words, "--resume")).outputs()
        assert [code for code, *_ in outputs] == [0, 0], outputs
    expected = (whole / "model.safetensors").read_bytes()
    assert (out / "model.safetensors").read_bytes() == expected


def test_a_hung_process_ends_all_and_is_named(
    launch_command, wait_until, errors, tmp_path
):
    out = tmp_path / "run"
    group = launch_command(
        2, *train(out, *ENDLESS), env={"MMGRAPH_TIMEOUT_SECONDS": "5"}
    )
    wait_until(has_begun(out))
    os.kill(group.all[1].pid, signal.SIGSTOP)
    group.all[0].join(60)
    assert group.all[0].exitcode
    group.all[1].kill()
    (line,) = errors(group.outputs())
    assert "process 1 (pid" in line
    assert "of 2 does not answer" in line


def on_a_full_disk(size, *words):
    """``mmgraph`` of which the first process may write no file above a size."""
    if os.environ["RANK"] == "0":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    return command_line(*words)


@pytest.mark.parametrize(
    ("size", "words", "file"),
    [
        (20_000, ENDLESS, "history.jsonl"),
        (100_000, ("--epochs", "1"), "checkpoint"),
        (100_000, ("--epochs", "1", *SHARED), "checkpoint"),
    ],
)
def test_a_full_disk_ends_all_and_is_said_once(
    launch, errors, tmp_path, size, words, file
):
    out = tmp_path / "run"
    outputs = launch(2, on_a_full_disk, str(size), *train(out, *words)).outputs()
    (line,) = errors(outputs)
    assert line.startswith(f"error: {out / file}")
    assert "File too large" in line
    assert outputs[0][0] == 2
    assert outputs[1][0] not in (0, None)


def test_an_interruption_is_said_once(launch_command, wait_until, errors, tmp_path):
    out = tmp_path / "run"
    group = launch_command(2, *train(out, *ENDLESS))
    wait_until(has_begun(out))
    for one in group.all:
        os.kill(one.pid, signal.SIGINT)
    outputs = group.outputs()
    (line,) = errors(outputs)
    assert line.startswith("error: interrupted")
    assert {code for code, *_ in outputs} == {130}
    load_checkpoint(out / "checkpoint")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--set", "lr=0.5"], "process 1 has lr 0.5, process 0 0.001"),
        (["--seed", "3"], "process 1 has seed 3, process 0 999"),
        (["--epochs", "7"], "process 1 has epochs 7, process 0 2"),
    ],
)
def test_other_options_are_refused(launch_command, errors, tmp_path, more, says):
    group = launch_command(2, *train(tmp_path / "run", "--epochs", "2"), more={1: more})
    outputs = group.outputs()
    assert errors(outputs) == [
        f"error: {says} - start all processes with the same command, data and versions"
    ]
    assert [code for code, *_ in outputs] == [2, 2]
    assert not (tmp_path / "run").exists()


def test_an_error_of_all_is_said_once(launch_command, errors, tmp_path):
    outputs = launch_command(2, *train(tmp_path / "run", spec="NoSuch")).outputs()
    (line,) = errors(outputs)
    assert line.startswith("error: unknown model 'NoSuch'")
    assert [code for code, *_ in outputs] == [2, 2]


def test_a_timeout_that_is_no_number(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MMGRAPH_TIMEOUT_SECONDS", "soon")
    with pytest.raises(UserError) as error, joined_processes("cpu"):
        pass
    assert str(error.value) == (
        "MMGRAPH_TIMEOUT_SECONDS is 'soon' - give seconds, above 0"
    )


def test_without_an_address_to_meet_at(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    says = pytest.raises(UserError, match="start them with torchrun")
    with says, joined_processes("cpu"):
        pass


def is_second(pid):
    """Of the processes of torchrun; the other one writes the checkpoints."""
    return b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_torchrun_ends_the_rest(wait_until, tmp_path):
    """As users start it; whoever is first to know, one line names the process."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    words = [*command, "--standalone", "-m", "mmgraph", *train(out, *ENDLESS)]
    run = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(has_begun(out))
        pids = subprocess.run(
            ["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True
        )
        (killed,) = (pid for pid in map(int, pids.stdout.split()) if is_second(pid))
        os.kill(killed, signal.SIGKILL)
        _, err = run.communicate(timeout=SECONDS)  # it would count as hung after 600
    finally:
        run.kill()
    assert run.returncode
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert f"(pid {killed} on" in said[0]
    load_checkpoint(out / "checkpoint")


def test_a_signal_as_another_is_lost_does_not_end_the_looking(monkeypatch):
    """It comes just before signals are ignored; the command line raises it once."""
    numbers = (signal.SIGTERM, signal.SIGALRM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    ignore, said = group._ignore_signals, []

    class Others:
        def __init__(self, *_):
            pass

        def say_once(self, error):
            said.append(error)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN

    def signalled_first():
        monkeypatch.setattr(group, "_ignore_signals", ignore)
        signal.raise_signal(signal.SIGTERM)

    def lost():
        with joined_processes("cpu"):
            raise ConnectionLostError("a peer is gone")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(group, "_join", lambda *_: (None, None))
    monkeypatch.setattr(group, "_Others", Others)
    monkeypatch.setattr(group, "_ignore_signals", signalled_first)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with pytest.raises(ConnectionLostError):
            lost()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert [type(error) for error in said] == [ConnectionLostError]


def test_a_group_on_gpus_exchanges_what_is_in_the_memory_of_the_machine(monkeypatch):
    """At the end of a training whose processes share the embeddings, for example."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(group, "resolve_device", lambda name: torch.device(name))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert group._own_device("cpu") == ("cpu", "gloo")
    assert group._own_device("cuda") == ("cuda:1", "cpu:gloo,cuda:nccl")
