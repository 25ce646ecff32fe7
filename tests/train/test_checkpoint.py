from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.train.checkpoint import (
    FILE_NAME,
    PREVIOUS,
    _with_own_storage,
    drop_checkpoints,
    drop_previous,
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


def damages(content, seed, truncations, flips):
    """The content cut off at, and with a bit flipped at, random places."""
    random = np.random.default_rng(seed)
    for length in random.integers(0, len(content), truncations):
        yield content[:length]
    for bit in random.integers(0, 8 * len(content), flips):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


def save_two(folder):
    save_checkpoint(folder, {"a": torch.ones(99)}, {"epoch": 1})
    save_checkpoint(folder, {"a": torch.zeros(99)}, {"epoch": 2}, keep_previous=True)


def test_of_two_hundred_damages_each_is_seen_and_the_one_before_is_used(
    tmp_path, caplog
):
    save_two(tmp_path)
    last, previous = (tmp_path / name for name in (FILE_NAME, PREVIOUS))
    contents = last.read_bytes(), previous.read_bytes()
    number = 0
    for damaged in damages(contents[0], seed=0, truncations=100, flips=100):
        last.write_bytes(damaged)
        previous.write_bytes(contents[1])
        tensors, state = load_checkpoint(tmp_path)
        assert state == {"epoch": 1}
        assert tensors["a"].tolist() == [1.0] * 99
        # It is never to be the one before the next.
        assert last.read_bytes() == contents[1]
        assert not previous.exists()
        number += 1
    assert [record.getMessage() for record in caplog.records] == number * [
        f"{last} is damaged: going on from the one before it"
    ]
    assert number == 200


def test_without_a_whole_one_it_says_what_to_do(tmp_path):
    save_two(tmp_path)
    for name in (FILE_NAME, PREVIOUS):
        content = bytearray((tmp_path / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as both:
        load_checkpoint(tmp_path)
    assert str(both.value) == (
        f"{tmp_path / PREVIOUS}: neither this checkpoint nor the last can be read "
        "(damaged: its content does not agree with its checksum) - "
        f"delete {tmp_path} and start again"
    )
    (tmp_path / PREVIOUS).unlink()
    with pytest.raises(UserError, match=r"the checkpoint cannot be read \(damaged: "):
        load_checkpoint(tmp_path)


def test_a_kill_while_it_is_written_leaves_the_one_before(
    tmp_path, monkeypatch, caplog
):
    save_two(tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmgraph.train.checkpoint.write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, {}, {"epoch": 3}, keep_previous=True)
    assert has_checkpoint(tmp_path)
    assert load_checkpoint(tmp_path)[1] == {"epoch": 2}
    assert not caplog.records, "nothing was damaged"


def test_the_checkpoint_of_another_run_is_not_kept(tmp_path):
    save_two(tmp_path)
    save_checkpoint(tmp_path, {}, {"epoch": 1})
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    save_two(tmp_path)
    drop_previous(tmp_path)
    assert load_checkpoint(tmp_path)[1] == {"epoch": 2}


def test_a_run_that_starts_anew_forgets_both_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("keep")
    save_two(tmp_path)
    drop_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    save_two(tmp_path)
    (tmp_path / FILE_NAME).unlink()  # as a kill leaves it
    drop_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    save_two(tmp_path)

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", forbidden)
    with pytest.raises(UserError) as error:
        drop_checkpoints(tmp_path)
    assert error.value.path == tmp_path
    assert error.value.what == "cannot be written (Permission denied)"


def test_its_tensors_are_not_copied_unless_they_share_memory(tmp_path):
    own, tied = torch.ones(5), torch.ones(6)
    packed = _with_own_storage(
        {"own": own, "tied": tied, "again": tied, "part": tied[:2]}
    )
    assert packed["own"].data_ptr() == own.data_ptr()
    pointers = {value.data_ptr() for value in packed.values()}
    assert len(pointers) == 4
