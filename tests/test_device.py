from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph import device
from mmgraph.device import (
    device_name,
    device_of,
    resolve_device,
    to_device,
    usable_cores,
)
from mmgraph.errors import UserError


def test_names():
    best = "cuda" if torch.cuda.is_available() else "cpu"
    for name, expected in (("cpu", "cpu"), ("auto", best), (best, best)):
        assert resolve_device(name).type == expected


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:x", "mps", "xpu", "", "cuda:-1", "cuda:999", "cuda:1\n"]
)
def test_unknown_devices_are_refused(name):
    with pytest.raises(UserError, match="choose auto, cpu, cuda or cuda:n"):
        resolve_device(name)


def test_an_absent_gpu_is_refused():
    with pytest.raises(UserError, match="'cuda:99' is not there"):
        resolve_device("cuda:99")


def test_shared_tensors_stay_shared_and_the_input_unchanged(device):
    train = HeteroData()
    train["item"].x_visual = torch.ones(3, 2)
    test = copy.copy(train)
    memo: dict = {}
    a, b = to_device(train, device, memo), to_device(test, device, memo)
    assert a["item"].x_visual is b["item"].x_visual
    assert a["item"].x_visual.device.type == device.type
    assert train["item"].x_visual.device.type == "cpu"


def test_a_module_is_where_its_parameters_or_buffers_are():
    meta = torch.device("meta")
    with meta:
        assert device_of(torch.nn.Linear(1, 1)) == meta
        assert device_of(torch.nn.BatchNorm1d(1, affine=False)) == meta
    assert device_of(torch.nn.Identity()) == torch.device("cpu")


def test_the_name_of_a_device_says_when_products_are_rounded():
    matmul, cuda = torch.backends.cuda.matmul, torch.device("cuda:1")
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "ieee"
        assert device_name(cuda) == "cuda:1"
        matmul.fp32_precision = "tf32"
        assert device_name(cuda) == "cuda:1, TF32"
        assert device_name(torch.device("cpu")) == "cpu"
    finally:
        matmul.fp32_precision = before


def test_torch_rounds_products_when_its_variable_says_so():
    """The switch that docs/reproducing.md names."""
    said = "import torch; print(torch.backends.cuda.matmul.fp32_precision)"
    done = subprocess.run(
        [sys.executable, "-c", said],
        env={**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "tf32\n"


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("", 6)],
)
def test_cores_are_those_that_this_process_may_use(tmp_path, monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(device, "_CPU_MAX", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores() == cores
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == (cores if quota[:1].isdigit() else 64)
