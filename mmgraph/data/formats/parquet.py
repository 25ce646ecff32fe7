"""Damaged parquet files, refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from mmgraph.errors import UserError


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Errors of pyarrow in the block become errors of the user's file.

    Example:
        >>> with parquet_errors(Path("a.parquet")):
        ...     raise pa.ArrowInvalid("no footer")
        Traceback (most recent call last):
        mmgraph.errors.UserError: a.parquet: damaged parquet file (no footer) - write \
it again
    """
    try:
        yield
    except pa.ArrowException as error:
        raise UserError(
            f"damaged parquet file ({str(error).splitlines()[0]})",
            "write it again",
            path=path,
        ) from error
