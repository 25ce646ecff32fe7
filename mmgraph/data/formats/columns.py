"""Columns of a table of interactions: from text to ids and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.parquet import is_number, is_text
from mmgraph.data.ids import as_ids
from mmgraph.errors import UserError

LABELS = {
    **{"0": 0, "train": 0, "training": 0},
    **{"1": 1, "valid": 1, "val": 1, "validation": 1},
    **{"2": 2, "test": 2},
}
_LABEL_FIX = (
    "write 0 (train), 1 (valid) or 2 (test), or choose another split if the column is "
    "something else"
)
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"  # what int64 surely holds and prints back alike


def parse_ids(column: pa.Array, role: str, path: Path, first_row: int) -> np.ndarray:
    """Ids as int64 where every one is spelled as an integer, else as strings.

    Args:
        column: Strings or integers.
        role: "user" or "item", for messages.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 or string array.

    Raises:
        UserError: If an id is empty, holds the character NUL, is larger than int64, or
            is neither integer nor string.

    Example:
        >>> parse_ids(pa.array(["7", "12"]), "user", Path("a.csv"), 2).tolist()
        [7, 12]
        >>> parse_ids(pa.array(["7", "007"]), "user", Path("a.csv"), 2).tolist()
        ['7', '007']
    """

    def refuse(wrong: pa.Array, what: str, fix: str) -> None:
        rows = np.flatnonzero(_to_numpy(wrong))
        if rows.size:
            row = int(rows[0]) + first_row
            raise UserError(f"{what}{role} id", fix, path=path, row=row)

    if pa.types.is_unsigned_integer(column.type):
        large = pc.greater(column, pa.scalar(2**63 - 1, pa.uint64()))
        refuse(large, "no int64 holds this ", "write such ids as strings")
    if pa.types.is_integer(column.type):
        return as_ids(_to_numpy(column))
    if not is_text(column.type):
        raise UserError(
            f"{role} ids are {column.type}", "write integers or strings", path=path
        )
    refuse(pc.equal(column, ""), "empty ", "fill it in")
    refuse(pc.match_substring(column, "\0"), "character NUL in this ", "take it out")
    if pc.all(pc.match_substring_regex(column, INTEGER)).as_py():
        return _to_numpy(pc.cast(column, pa.int64()))
    _check_lengths(column, role, path, first_row)
    return _to_numpy(column).astype(str)


def _check_lengths(column: pa.Array, role: str, path: Path, first_row: int) -> None:
    """Refuse one id that is so long that an array of all would fill the memory."""
    lengths = _to_numpy(pc.utf8_length(column))
    longest = int(lengths.argmax())
    name = f"{role} id of row {longest + first_row} ({lengths[longest]} characters)"
    needed = 4 * int(lengths[longest]) * len(lengths)
    check_budget(path, needed, what=name, size=int(lengths.sum()))


def parse_labels(column: pa.Array, path: Path, first_row: int) -> np.ndarray:
    """Split labels as 0 (train), 1 (valid), 2 (test).

    Args:
        column: The numbers, or their names in any letter case.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        int64 array.

    Raises:
        UserError: If a label is another.

    Example:
        >>> parse_labels(pa.array(["train", "Val", "2"]), Path("a.csv"), 2).tolist()
        [0, 1, 2]
    """
    kind = column.type
    if not (is_text(kind) or is_number(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"split labels are {kind}", _LABEL_FIX, path=path)
    coded = pc.cast(column, pa.large_string()).dictionary_encode()
    names = [name.lower() for name in coded.dictionary.to_pylist()]
    numbers = np.array([LABELS.get(name, -1) for name in names], dtype=np.int64)
    code = _to_numpy(coded.indices)
    labels: np.ndarray = numbers[code]
    wrong = np.flatnonzero(labels < 0)
    if wrong.size:
        raise UserError(
            f"split label {names[code[wrong[0]]]!r}",
            _LABEL_FIX,
            path=path,
            row=int(wrong[0]) + first_row,
        )
    return labels


def _to_numpy(column: pa.Array) -> np.ndarray:
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values
