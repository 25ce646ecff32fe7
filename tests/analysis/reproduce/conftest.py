from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from mmgraph.analysis.reproduce import ExperimentContext
from mmgraph.bench.source import DataSource
from mmgraph.data import synthetic, write_dataset

#: Options that make every system tiny.
TINY = {
    **{"embedding_dim": 8, "hidden_dim": 8, "epochs": 1, "rank": 2},
    **{"club_inner_steps": 1, "lr": 1e-2},
}


@dataclass
class Watch:
    """Counts the trainings."""

    seen: list = field(default_factory=list)

    def __call__(self, label, seed, epochs):
        self.seen.append((label, seed, epochs))
        return nullcontext()


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A tiny planted catalogue on disk, some features missing."""
    folder = tmp_path_factory.mktemp("data") / "toy"
    *splits, _ = synthetic(
        num_users=60, num_items=90, interactions_per_user=12, missing=0.05
    )
    write_dataset(*splits, folder)
    source = DataSource(str(folder))
    return source, *source.load()


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    """The same with three modalities."""
    folder = tmp_path_factory.mktemp("data") / "three"
    widths = {"visual": 16, "textual": 12, "acoustic": 20}
    *splits, _ = synthetic(
        num_users=60, num_items=90, interactions_per_user=12, modalities=widths
    )
    write_dataset(*splits, folder)
    source = DataSource(str(folder))
    return source, *source.load()


@pytest.fixture(scope="session")
def make_context(toy):
    """Labs over the tiny catalogue or another; other options by name."""

    def make(folder, *, grid=None, seeds=(999,), settings=None, data=toy, **options):
        source, splits, sha256 = data
        return ExperimentContext(
            source,
            splits,
            sha256,
            folder,
            folder / "runs",
            seeds,
            Watch(),
            settings={**TINY, **(settings or {})},
            grid=grid or {},
            device="cpu",
            **options,
        )

    return make
