from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.bench.failures import enough_memory, refused_values
from mmgraph.errors import UserError


def test_a_refusal_of_a_function_below_is_one_of_the_user():
    cause = ValueError("no row has both modalities")
    leave = r"^no row has both modalities - leave"
    with pytest.raises(UserError, match=leave) as caught, refused_values():
        raise cause
    assert caught.value.__cause__ is cause


def test_an_error_of_the_user_stays_as_it_is():
    error = UserError("no column 'user'", "rename it", path="a.csv", row=1)
    with pytest.raises(UserError) as caught, refused_values(), enough_memory():
        raise error
    assert caught.value is error


@pytest.mark.parametrize("kind", [TypeError, IndexError, ZeroDivisionError, OSError])
def test_a_mistake_in_code_passes(kind):
    with pytest.raises(kind), enough_memory(), refused_values():
        raise kind("a mistake")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(2**46),  # more than any address space
        lambda: torch.empty(2**62),
        lambda: np.empty(2**60, dtype=np.int8),
        lambda: bytearray(2**62),
    ],
)
def test_memory_that_is_not_there_is_said_in_a_line(ask):
    with pytest.raises(UserError, match=r"^not enough memory - "), enough_memory():
        ask()


def test_other_errors_of_torch_pass():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory():
        torch.empty(2, 3) @ torch.empty(2, 3)
