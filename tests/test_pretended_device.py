"""What a GPU refuses is refused, and what it is waited for is counted."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from pretended_device import DEVICE, pretended_device
from torch import nn

from mmgraph.functional.graph.normalize import root_norm


@pytest.fixture
def device():
    with pretended_device() as device:
        yield device


@pytest.fixture
def x(device):
    return torch.randn(4, 3).to(DEVICE)


@pytest.mark.parametrize(
    "mixes",
    [
        lambda x: x + torch.ones(4, 3),
        lambda x: torch.ones(2, 4) @ x,
        lambda x: x.index_add_(0, torch.tensor([1]), torch.ones(1, 3)),
        lambda x: torch.ones(4)[x.argmax(dim=0)],
        lambda x: F.embedding(torch.tensor([0]), x),
        lambda x: torch.cat([x, torch.ones(1, 3)]),
        lambda x: nn.Linear(3, 2)(x),
    ],
)
def test_tensors_of_two_devices_do_not_meet(x, mixes):
    with pytest.raises(RuntimeError, match="tensors of two devices"):
        mixes(x)


def test_a_generator_is_of_the_device_that_it_draws_on(device):
    there, here = torch.Generator(DEVICE), torch.Generator()
    torch.randperm(4, generator=there, device=DEVICE)
    torch.randperm(4, generator=here)
    for generator, where in ((here, DEVICE), (there, "cpu")):
        with pytest.raises(RuntimeError, match="a generator of another device"):
            torch.randperm(4, generator=generator, device=where)


def test_values_do_not_become_those_of_numpy(x):
    with pytest.raises(RuntimeError, match="numpy"):
        x.numpy()


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x.sum().item(),
        lambda x: float(x[0, 0]),
        lambda x: bool((x > 0).any()),
        lambda x: x.unique(),
        lambda x: (x > 0).nonzero(),
        lambda x: x[x > 0],
        lambda x: x.argmax(dim=1).bincount(),
        lambda x: x.repeat_interleave(torch.ones(4, device=DEVICE).long(), dim=0),
        lambda x: torch.tensor([1.0, 2.0], device=DEVICE),
        lambda x: torch.ones(3).to(DEVICE),
        lambda x: x[torch.tensor([1, 0])],
        lambda x: torch.equal(x, x),
        lambda x: x.copy_(torch.ones(4, 3)),
    ],
)
def test_what_the_host_waits_for_is_counted(device, x, waits):
    device.waits.clear()
    waits(x)
    assert device.waits.total() == 1
    assert next(iter(device.waits)).endswith("at the test")


def test_a_step_of_training_is_that_of_the_cpu_and_waits_for_nothing(device):
    start, given = nn.Linear(3, 1), torch.randn(5, 3)
    trained = []
    for where in ("cpu", DEVICE):
        model, x = copy.deepcopy(start).to(where), given.to(where)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        device.waits.clear()
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(x).squeeze(1), x.sum(dim=1)).backward()
            optimizer.step()
        assert not device.waits
        trained.append(model.weight.detach().cpu())
    assert torch.equal(*trained)
    assert not torch.equal(trained[0], start.weight)


def test_results_in_float64_are_counted(device, x):
    x.float().sum()
    assert not device.doubles
    x.double().sum()
    assert device.doubles == {"the test": 2}


def test_waits_say_which_line_of_the_package_asked(device):
    stacked = torch.tensor([[0, 1], [1, 0]], device=DEVICE)
    device.waits.clear()
    root_norm(stacked, 2)
    (where,) = device.waits
    assert where.startswith("bincount at functional/graph/normalize.py:")
