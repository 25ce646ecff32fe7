from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.train.checkpoint import (
    FILE_NAME,
    has_checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)


def test_round_trip(tmp_path):
    shared = torch.arange(6.0).view(2, 3)
    tensors = {"a": shared, "b": shared.t(), "c": torch.tensor(3)}
    state = {"epoch": 4, "rows": [{"x": 0.1 + 0.2}]}
    assert not has_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors, state)
    loaded, read = load_checkpoint(tmp_path)
    assert has_checkpoint(tmp_path)
    assert read == state
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)


@pytest.mark.parametrize("keep", [0, 3, 9, 60])
def test_a_torn_file_is_named(tmp_path, keep):
    save_checkpoint(tmp_path, {"a": torch.ones(50)}, {"epoch": 1})
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"state\.safetensors: (the check|damaged)"):
        load_checkpoint(tmp_path)


def test_names_of_an_optimizers_state_may_have_dots():
    tensors = {"0.step": torch.tensor(1.0), "1.a.b": torch.ones(2)}
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimizer = torch.optim.SGD(parameters)
    restore_optimizer(optimizer, tensors)
    restored = optimizer_tensors(optimizer)
    assert restored.keys() == tensors.keys()
    assert all(torch.equal(restored[key], tensors[key]) for key in tensors)
    assert restored["1.a.b"].data_ptr() != tensors["1.a.b"].data_ptr()


def test_what_is_no_checkpoint_is_named_with_its_reason(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(bytes(100))
    text = r"state\.safetensors: the checkpoint cannot be read \(SafetensorError\)"
    with pytest.raises(UserError, match=text):
        load_checkpoint(tmp_path)


def test_a_restored_optimizer_steps_alike():
    def steps(parameter, optimizer, number):
        for _ in range(number):
            optimizer.zero_grad()
            (parameter - 3).square().sum().backward()
            optimizer.step()

    one = torch.nn.Parameter(torch.zeros(4))
    first = torch.optim.Adam([one], fused=True)
    steps(one, first, 3)
    two = torch.nn.Parameter(one.detach().clone())
    second = torch.optim.Adam([two], fused=True)
    restore_optimizer(second, optimizer_tensors(first))
    steps(one, first, 3)
    steps(two, second, 3)
    assert torch.equal(one, two)
