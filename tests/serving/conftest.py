from __future__ import annotations

from pathlib import Path

import pytest

from mmgraph.bench.config import run_config
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import train_run


def trained(folder: Path, system: str, epochs: int = 2) -> Path:
    settings = {"embedding_dim": 8, "epochs": epochs}
    run = run_config(parse_spec(system), settings)
    train_run(run, DataSource("synthetic"), folder, device="cpu")
    return folder


@pytest.fixture(scope="package")
def vbpr(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "vbpr", "VBPR")


@pytest.fixture(scope="package")
def pamd(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "pamd", "PAMD")
