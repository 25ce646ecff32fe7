"""Training on two machines: two network namespaces with a cable between them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from launched import SECONDS

from mmgraph.cli import main
from mmgraph.data import synthetic, write_dataset

ADDRESSES = ("10.213.7.1", "10.213.7.2")


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


@pytest.fixture
def machines():
    """Names of two namespaces, each with a name and an address for its end."""
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2")
    names = [f"mmgraph-{os.getpid()}-{n}" for n in (0, 1)]
    with ExitStack() as stack:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here ({error.stderr.strip()})")
            stack.callback(ip, "netns", "del", name)  # the cable goes with it
        first, second = names
        try:
            ip(
                *("link", "add", "cable0", "netns", first),
                *("type", "veth", "peer", "name", "cable1", "netns", second),
            )
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no cables here ({error.stderr.strip()})")
        ends = list(zip(names, ("cable0", "cable1"), ADDRESSES, strict=True))
        for name, end, address in ends:
            ip("-n", name, "addr", "add", f"{address}/30", "dev", end)
            for device in ("lo", end):
                ip("-n", name, "link", "set", device, "up")
        yield ends


def words_of(out):
    options = ["--epochs", "3", "--set", "embedding_dim=8", "--set", "patience=1000"]
    return ["train", "LightGCN", "--data", "toy", "--out", out, "--quiet", *options]


def finished(folder):
    info = json.loads((folder / "run.json").read_text())
    rows = [json.loads(row) for row in (folder / "history.jsonl").open()]
    losses = [row[name] for row in rows for name in sorted(row) if "loss" in name]
    assert len(losses) >= 3
    return info["metrics"], losses, info["data_sha256"]


def test_training_on_two_machines_is_that_of_one_process(
    machines, tmp_path, monkeypatch
):
    """Each has its own copy of the data, and the first alone writes."""
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    write_dataset(*splits, tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    assert main([*words_of("one"), "--device", "cpu"]) == 0
    meet = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"]
    meet += [f"--rdzv-endpoint={ADDRESSES[0]}:29500", "--rdzv-id=toy"]
    command = [sys.executable, "-m", "torch.distributed.run", *meet]
    started = []
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        for number, (name, end, address) in enumerate(machines):
            home = tmp_path / str(number)
            shutil.copytree(tmp_path / "toy", home / "toy")
            # The machine's name is that of the other one, too, and leads elsewhere.
            own = [f"--local-addr={address}", f"--rdzv-conf=is_host={number == 0}"]
            train = ["-m", "mmgraph", *words_of("run"), "--device", "cpu"]
            process = subprocess.Popen(
                ["ip", "netns", "exec", name, *command, *own, *train],
                cwd=home,
                env={**env, "GLOO_SOCKET_IFNAME": end},
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        errors = [process.communicate(timeout=SECONDS)[1] for process in started]
        codes = [process.returncode for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert codes == [0, 0], errors
    expected, found = finished(tmp_path / "one"), finished(tmp_path / "0" / "run")
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], rel=1e-6)
    assert found[2] == expected[2]
    assert [each.name for each in (tmp_path / "1").iterdir()] == ["toy"]
