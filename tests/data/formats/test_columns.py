from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data.formats.columns import parse_ids, parse_labels
from mmgraph.errors import UserError

PATH = Path("t.csv")


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1))
def test_integers_round_trip(values):
    assert parse_ids(pa.array(map(str, values)), "user", PATH, 2).ids.tolist() == values


@pytest.mark.parametrize("word", ["VALID", "val", "Validation", "1"])
def test_labels_in_any_spelling(word):
    assert parse_labels(pa.array([word]), PATH, 2).tolist() == [1]
    with pytest.raises(UserError, match=r"t.csv:3: split label 'dev'"):
        parse_labels(pa.array([word, "dev"]), PATH, 2)


def test_ids_that_no_array_can_hold_are_named_with_their_row():
    for kind in (pa.string(), pa.large_string()):
        with pytest.raises(UserError, match=r"t.csv:3: character NUL in this item id"):
            parse_ids(pa.array(["a", "a\0"], kind), "item", PATH, 2)
    with pytest.raises(
        UserError, match=r"t.csv:3: no int64 holds this user id - write"
    ):
        parse_ids(pa.array([1, 2**63], pa.uint64()), "user", PATH, 2)


def test_one_long_id_does_not_widen_all_others():
    ids = pa.array(["a"] * 5_000 + ["b" * 100_000])
    with pytest.raises(
        UserError, match=r"item id of row 5002 \(100000 characters\) decl"
    ):
        parse_ids(ids, "item", PATH, 2)


def test_durations_are_no_labels():
    with pytest.raises(
        UserError, match=r"t.csv: split labels are duration\[s\] - write"
    ):
        parse_labels(pa.array([1], pa.duration("s")), PATH, 2)
