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
    assert parse_ids(pa.array(map(str, values)), "user", PATH, 2).tolist() == values


@pytest.mark.parametrize("word", ["VALID", "val", "Validation", "1"])
def test_labels_in_any_spelling(word):
    assert parse_labels(pa.array([word]), PATH, 2).tolist() == [1]
    with pytest.raises(UserError, match=r"t.csv:3: split label 'dev'"):
        parse_labels(pa.array([word, "dev"]), PATH, 2)
