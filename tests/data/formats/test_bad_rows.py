from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mmgraph.data.formats.bad_rows import BadRowsError
from mmgraph.data.formats.columns import parse_ids, parse_labels, parse_ratings
from mmgraph.data.times import parse_times

PATH = Path("log.csv")
LARGE = str(2**53 + 1)


@pytest.mark.parametrize(
    ("parse", "values", "positions"),
    [
        (lambda c: parse_ids(c, "user", PATH, 2), ["a", "", "b", ""], [1, 3]),
        (lambda c: parse_ids(c, "user", PATH, 2), ["a", "b\0", "\0"], [1, 2]),
        (lambda c: parse_labels(c, PATH, 2), ["what", "0", "no"], [0, 2]),
        (lambda c: parse_ratings(c, PATH, 2), ["1", "x", "inf", "", "2"], [1, 2, 3]),
        (lambda c: parse_times(c, PATH, 2), ["1", "x", "2", ""], [1, 3]),
        (lambda c: parse_times(c, PATH, 2), ["1.5", "inf", "nan"], [1, 2]),
        (lambda c: parse_times(c, PATH, 2), ["1", "9" * 20, "9" * 40, "7"], [1, 2]),
        (lambda c: parse_times(c, PATH, 2), ["0.5", LARGE, LARGE], [1, 2]),
        (
            lambda c: parse_times(c, PATH, 2),
            ["2024-01-01", "9999-01-01", "0001-01-01"],
            [1, 2],
        ),
    ],
)
def test_all_rows_of_a_fault_are_known(parse, values, positions):
    with pytest.raises(BadRowsError) as caught:
        parse(pa.array(values))
    assert caught.value.positions.tolist() == positions
    assert caught.value.row == positions[0] + 2
    keep = np.setdiff1d(np.arange(len(values)), positions)
    if len(keep):
        parse(pa.array(values).take(keep))
