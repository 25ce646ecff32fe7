from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mmgraph.cli.knn import app


@pytest.fixture
def knn():
    """Run ``mmgraph knn``; its JSON, or the whole result where ``raw`` is set."""

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
