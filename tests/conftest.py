"""Shared fixtures: a seed before every test, devices, the real data sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

CHECKOUT = Path(__file__).parent.parent


# Small tensors: a second thread only waits, and does so busily.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _devices() -> list:
    return [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(
                    not torch.cuda.is_available(), reason="no CUDA device"
                ),
            ],
        ),
    ]


@pytest.fixture(params=_devices())
def device(request) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; the test is skipped without them."""
    named = os.environ.get("MMGRAPH_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data sets not found: set MMGRAPH_DATA to their folder")
    return folder
