from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import torch

from mmgraph.knn.search import backends as search
from mmgraph.knn.search.backends import build_search, resolve_backend

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class FakeFaiss:
    def __init__(self, gpus):
        self.get_num_gpus = lambda: gpus


@pytest.mark.parametrize(
    ("installed", "device", "backend"),
    [
        (None, CPU, "torch"),
        (None, CUDA, "torch"),
        (FakeFaiss(0), CPU, "torch"),
        (FakeFaiss(0), CUDA, "torch"),
        (FakeFaiss(1), CPU, "torch"),
        (object(), CUDA, "torch"),  # built without a GPU
        (FakeFaiss(1), CUDA, "faiss-gpu"),
    ],
)
def test_auto_goes_by_device_and_installation(monkeypatch, installed, device, backend):
    monkeypatch.setattr(search, "import_faiss", lambda: installed)
    assert resolve_backend("auto", device) == backend


def test_a_missing_backend_is_named(monkeypatch):
    monkeypatch.setattr(search, "import_faiss", lambda: None)
    with pytest.raises(
        ValueError, match=r"^backend 'faiss' needs faiss-.* \(got neither\)$"
    ):
        resolve_backend("faiss", CPU)
    with pytest.raises(
        ValueError, match=r"^backend 'faiss-gpu' needs .* \(got neither\)$"
    ):
        resolve_backend("faiss-gpu", CPU)


@pytest.mark.parametrize(
    ("level", "after"),
    [(logging.NOTSET, logging.WARNING), (logging.DEBUG, logging.DEBUG)],
)
def test_the_loader_of_faiss_is_quiet_unless_told_otherwise(monkeypatch, level, after):
    monkeypatch.setitem(sys.modules, "faiss", None)
    loader, root = logging.getLogger("faiss.loader"), logging.getLogger().level
    before = loader.level
    loader.setLevel(level)
    try:
        assert search.import_faiss() is None
        assert loader.level == after
    finally:
        loader.setLevel(before)
    assert logging.getLogger().level == root


class FaissOnGpu:
    """What is used of FAISS on a GPU, in NumPy."""

    class StandardGpuResources:
        pass

    def __init__(self):
        self.counts = counts = []

        class GpuIndexFlatIP:
            def __init__(self, resources, dim):
                assert isinstance(resources, FaissOnGpu.StandardGpuResources)
                self.rows = np.zeros((0, dim), np.float32)

            def add(self, rows):
                self.rows = np.concatenate([self.rows, rows])

            def search(self, query, count):
                counts.append(count)
                score = query @ self.rows.T
                index = np.argsort(-score, axis=1, kind="stable")[:, :count]
                return np.take_along_axis(score, index, axis=1), index

        self.GpuIndexFlatIP = GpuIndexFlatIP


def test_a_gpu_is_asked_for_as_many_rows_as_it_can_return(monkeypatch):
    faiss = FaissOnGpu()
    monkeypatch.setattr(search, "import_faiss", lambda: faiss)
    base, query = torch.randn(2500, 4), torch.randn(3, 4)
    on_gpu, on_torch = (build_search(name, base) for name in ("faiss-gpu", "torch"))
    for count in (5, 2048, 2049):
        score, index = on_gpu(query, count)
        want_score, want_index = on_torch(query, count)
        assert score.shape == index.shape == (3, count)
        torch.testing.assert_close(score, want_score, rtol=1e-5, atol=1e-5)
        assert (index == want_index).float().mean() > 0.99  # but for rounding
    assert faiss.counts == [5, 2048]


def test_faiss_and_torch_propose_the_same_rows():
    pytest.importorskip("faiss", reason="this way of searching is FAISS itself")
    base, query = torch.randn(100, 8), torch.randn(10, 8)
    score, index = build_search("torch", base)(query, 5)
    other_score, other_index = build_search("faiss", base)(query, 5)
    assert torch.equal(index, other_index)
    torch.testing.assert_close(score, other_score, rtol=1e-5, atol=1e-5)
