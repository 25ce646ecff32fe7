"""Shared fixtures: a seed before every test, devices, the real data sets."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from launched import Launched
from pretended_device import DEVICE, pretended_device
from typer.testing import CliRunner

CHECKOUT = Path(__file__).parent.parent

# Small tensors: a second thread only waits, and does so busily. Tests run on all cores,
# a process each; those that they start have one thread, too.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a script starts in the background ignores Ctrl-C, and so would what tests start.
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine must not fail a test.
# The same examples in every run; a longer search draws others.
hypothesis.settings.register_profile("no deadline", deadline=None, derandomize=True)
# MMGRAPH_EXAMPLES=5000 draws that many examples of each property.
EXAMPLES = os.environ.get("MMGRAPH_EXAMPLES")
hypothesis.settings.register_profile(
    "slow", deadline=None, max_examples=int(EXAMPLES or 5000)
)
hypothesis.settings.load_profile("slow" if EXAMPLES else "no deadline")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No other process for a part of the tests, all cores for the whole."""
    is_part = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if is_part or config.option.keyword else None


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Tests of minutes run where they are asked for, by ``-m slow``."""
    if "slow" not in config.option.markexpr:
        skip = pytest.mark.skip(reason="takes minutes; pytest -m slow")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def gpu():
    """A CUDA device; where there is none, a pretended one."""
    if torch.cuda.is_available():
        yield torch.device("cuda")
    else:
        with pretended_device():
            yield DEVICE


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request) -> torch.device:
    return (
        torch.device("cpu")
        if request.param == "cpu"
        else request.getfixturevalue("gpu")
    )


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; the test is skipped without them."""
    named = os.environ.get("MMGRAPH_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data sets not found: set MMGRAPH_DATA to their folder")
    return folder


@pytest.fixture
def launch(tmp_path_factory):
    """Start processes of one training, which end with the test."""
    started = []

    def start(count, *args, **options):
        folder = tmp_path_factory.mktemp("processes")
        started.append(Launched(count, folder, *args, **options))
        return started[-1]

    yield start
    for group in started:
        group.end()


@pytest.fixture
def knn():
    """Run ``mmgraph knn``; its JSON, or the whole result where ``raw`` is set."""
    from mmgraph.cli.knn import app

    def call(*words, raw=False):
        command = [*map(str, words), "--device", "cpu"]
        if not raw:
            command.append("--json")
        result = CliRunner().invoke(app, command)
        if result.exception is not None and not isinstance(
            result.exception, SystemExit
        ):
            raise result.exception
        return result if raw else json.loads(result.stdout)

    return call


@pytest.fixture
def x():
    """Features with a zero row and two groups of equal rows."""
    table = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    table[7] = 0
    table[10:13] = table[20]
    table[40] = table[41]
    return table
