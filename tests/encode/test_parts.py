from __future__ import annotations

import logging

import numpy as np
import pytest

from mmgraph.encode.encoder import Encoded, Fault
from mmgraph.encode.parts import (
    check_parts,
    claim_parts,
    locked_parts,
    read_part,
    remove_parts,
    write_part,
)
from mmgraph.errors import UserError

PART = Encoded(np.eye(3, dtype="f4"), {3: Fault("no such file", "a"), 5: Fault("b")})


def test_a_part_comes_back_as_it_was(tmp_path):
    write_part(tmp_path, 4, PART)
    back = read_part(tmp_path, 4)
    assert (back.features == PART.features).all()
    assert back.features.dtype == np.float32
    assert back.faults == PART.faults
    nothing = Encoded(np.zeros((0, 0), np.float32), {0: Fault("b")})
    write_part(tmp_path, 5, nothing)
    assert read_part(tmp_path, 5).features.shape == (0, 0)


def test_a_flipped_bit_anywhere_makes_the_part_anew(tmp_path, caplog):
    write_part(tmp_path, 0, PART)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 20, dtype=int):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(bytes(damaged))
        with caplog.at_level(logging.WARNING):
            assert read_part(tmp_path, 0) is None
    path.write_bytes(b"")
    assert read_part(tmp_path, 0) is None
    assert all(line.endswith("; it is made anew") for line in caplog.messages)
    assert len(caplog.messages) == 21


def test_parts_of_something_else_are_not_taken(tmp_path):
    claim_parts(tmp_path, {"model_sha256": "a", "batch_size": 32})
    claim_parts(tmp_path, {"model_sha256": "a", "batch_size": 32})
    with pytest.raises(UserError) as error:
        claim_parts(tmp_path, {"model_sha256": "a", "batch_size": 16})
    assert str(error.value) == (
        f"{tmp_path}: holds parts with another batch_size (32) - run again with that "
        "one, or delete that folder"
    )


def test_parts_are_taken_on_request_alone(tmp_path):
    check_parts(tmp_path / "nowhere", resume=False)
    check_parts(tmp_path, resume=False)
    claim_parts(tmp_path, {})
    check_parts(tmp_path, resume=True)
    with pytest.raises(UserError, match="go on with --resume, or delete that folder"):
        check_parts(tmp_path, resume=False)


@pytest.mark.parametrize("resume", [False, True])
def test_files_of_others_are_left_alone(resume, tmp_path):
    (tmp_path / "own.txt").touch()
    with pytest.raises(UserError, match="holds files that are not from this command"):
        check_parts(tmp_path, resume=resume)
    claim_parts(tmp_path, {})
    write_part(tmp_path, 0, PART)
    remove_parts(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


@pytest.mark.parametrize("is_new", [False, True])
def test_an_empty_folder_goes_and_another_stays(is_new, tmp_path):
    folder = tmp_path / "parts"
    if not is_new:
        folder.mkdir()
    with locked_parts(folder):
        with pytest.raises(UserError, match="is writing there"), locked_parts(folder):
            pass
        claim_parts(folder, {})
    assert folder.exists()
    with locked_parts(folder):
        remove_parts(folder, 0)
    assert not folder.exists()
