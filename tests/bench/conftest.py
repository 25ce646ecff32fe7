from __future__ import annotations

from multiprocessing import get_context

import pytest

from mmgraph.bench.jobs.processes import Processes
from mmgraph.data import synthetic


@pytest.fixture(scope="session")
def splits():
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    return tuple(splits)


@pytest.fixture
def quick_start(monkeypatch):
    """Processes from a server that imports once; the product starts each anew."""
    context = get_context("forkserver")
    context.set_forkserver_preload([Processes.__module__])
    monkeypatch.setattr(f"{Processes.__module__}.get_context", lambda _: context)
