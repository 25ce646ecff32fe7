from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from mmgraph.data.times import parse_times
from mmgraph.errors import UserError

PATH = Path("t.csv")


def test_times_of_parquet():
    stamps = pa.array([0, 1], pa.timestamp("s"))
    assert parse_times(stamps, PATH, 1).tolist() == [0, 10**9]
    assert parse_times(pa.array([1.5, 2.0]), PATH, 1).tolist() == [1.5, 2.0]
    with pytest.raises(UserError, match=r"t.csv:2: timestamp is not finite"):
        parse_times(pa.array([1.5, float("nan")]), PATH, 1)
