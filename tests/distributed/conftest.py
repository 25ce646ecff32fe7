from __future__ import annotations

import time

import pytest
from launched import SECONDS, command_line


@pytest.fixture
def launch_command(launch):
    """Start ``mmgraph`` in several processes."""

    def start(count, *words, **options):
        return launch(count, command_line, *words, **options)

    return start


@pytest.fixture
def wait_until():
    def wait(condition, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.05)

    return wait


@pytest.fixture
def errors():
    """Lines that begin with ``error:``, of all processes."""

    def lines(outputs):
        every = [line for _, _, err in outputs for line in err.splitlines()]
        return [line for line in every if line.startswith("error: ")]

    return lines
