from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from mmgraph.errors import UserError


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, "no rows - add some"),
        ({"path": "a.csv"}, "a.csv: no rows - add some"),
        ({"path": Path("a") / "b.csv"}, f"{Path('a') / 'b.csv'}: no rows - add some"),
        ({"path": "a.csv", "row": 7}, "a.csv:7: no rows - add some"),
        ({"path": "a.npy", "row": 0}, "a.npy:0: no rows - add some"),
        ({"row": 7}, "no rows - add some"),
    ],
)
def test_one_line_says_where_what_and_what_to_do(place, expected):
    assert str(UserError("no rows", "add some", **place)) == expected


def test_its_parts_can_be_read():
    error = UserError("no rows", "add some", path="a.csv", row=7)
    parts = (error.what, error.fix, error.path, error.row)
    assert parts == ("no rows", "add some", "a.csv", 7)


def test_it_is_a_value_error():
    with pytest.raises(ValueError, match="no rows - add some"):
        raise UserError("no rows", "add some")


def test_a_copy_has_its_parts():
    """Worker processes hand exceptions over by the same protocol."""
    error = copy.copy(UserError("no rows", "add some", path="a.csv", row=7))
    parts = (error.what, error.fix, error.path, error.row, str(error))
    assert parts == ("no rows", "add some", "a.csv", 7, "a.csv:7: no rows - add some")


class NoRowsError(UserError):
    def __init__(self, name):
        super().__init__(f"no {name}", "add some", path="a.csv", row=7)
        self.name = name


def test_a_copy_is_of_its_kind_and_has_what_is_its_own():
    error = pickle.loads(pickle.dumps(NoRowsError("rows")))
    assert type(error) is NoRowsError
    parts = (error.what, error.fix, error.path, error.row, error.name, str(error))
    expected = ("no rows", "add some", "a.csv", 7, "rows")
    assert parts == (*expected, "a.csv:7: no rows - add some")
