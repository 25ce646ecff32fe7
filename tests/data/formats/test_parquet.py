from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from mmgraph.data.formats.parquet import parquet_errors
from mmgraph.errors import UserError

PATH = Path("a.parquet")


def test_an_error_of_pyarrow_is_one_line_that_names_the_file():
    with (
        pytest.raises(
            UserError, match=r"^a\.parquet: damaged parquet file \(cut\) - w"
        ),
        parquet_errors(PATH),
    ):
        raise pa.ArrowInvalid("cut\nand more")


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), parquet_errors(PATH):
        raise KeyError("item")
