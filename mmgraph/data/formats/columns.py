"""Columns of a table of interactions: from text to ids and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mmgraph.data.formats.bad_rows import BadRowsError, refuse_rows
from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.parquet import is_number, is_text
from mmgraph.data.ids import CodedIds, as_ids, ascending, code_ids
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


def parse_ids(column: pa.Array, role: str, path: Path, first_row: int) -> CodedIds:
    """Ids as int64 where every one is spelled as an integer, else as strings.

    Args:
        column: Strings, also coded, or integers.
        role: "user" or "item", for messages.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        The distinct ids, int64 or strings, and the position of each row's.

    Raises:
        UserError: If an id is empty, holds the character NUL, is larger than int64, or
            is neither integer nor string.

    Example:
        >>> names, code = parse_ids(pa.array(["7", "12"]), "user", Path("a.csv"), 2)
        >>> names.tolist(), code.tolist()
        ([7, 12], [0, 1])
        >>> parse_ids(pa.array(["7", "007"]), "user", Path("a.csv"), 2).names.tolist()
        ['007', '7']
    """
    if pa.types.is_unsigned_integer(column.type):
        large = pc.greater(column, pa.scalar(2**63 - 1, pa.uint64()))
        fix = "write such ids as strings"
        what = f"no int64 holds this {role} id"
        refuse_rows(_to_numpy(large), what, fix, path, first_row)
    if pa.types.is_integer(column.type):
        return code_ids(as_ids(_to_numpy(column)))
    is_coded = pa.types.is_dictionary(column.type)
    if not is_text(column.type.value_type if is_coded else column.type):
        raise UserError(
            f"{role} ids are {column.type}", "write integers or strings", path=path
        )
    # Each id is looked at once, not in every row.
    coded = _own_codes(column) if is_coded else column.dictionary_encode()
    for wrong, what, fix in (
        (pc.equal(coded.dictionary, ""), f"empty {role} id", "fill it in"),
        (
            pc.match_substring(coded.dictionary, "\0"),
            f"character NUL in this {role} id",
            "take it out",
        ),
    ):
        of_rows = _to_numpy(wrong.take(coded.indices))
        refuse_rows(of_rows, what, fix, path, first_row)
    code = _to_numpy(coded.indices)
    if pc.all(pc.match_substring_regex(coded.dictionary, INTEGER)).as_py():
        return ascending(code, _to_numpy(pc.cast(coded.dictionary, pa.int64())))
    _check_lengths(coded, role, path, first_row)
    return ascending(code, _to_numpy(coded.dictionary).astype(str))


def _own_codes(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Coded strings whose categories are the strings that occur, each once.

    Those of a file may be more, or stand there twice.
    """
    names = column.dictionary
    uses = np.bincount(_to_numpy(column.indices), minlength=len(names))
    if uses.all() and pc.count_distinct(names).as_py() == len(names):
        return column
    return column.dictionary_decode().dictionary_encode()


def _check_lengths(
    coded: pa.DictionaryArray, role: str, path: Path, first_row: int
) -> None:
    """Refuse one id that is so long that an array of all would fill the memory."""
    lengths = _to_numpy(pc.utf8_length(coded.dictionary))[_to_numpy(coded.indices)]
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
        raise BadRowsError(
            wrong,
            "unknown split label",
            f"split label {names[code[wrong[0]]]!r}",
            _LABEL_FIX,
            path=path,
            row=int(wrong[0]) + first_row,
        )
    return labels


def parse_ratings(column: pa.Array, path: Path, first_row: int) -> np.ndarray:
    """Ratings as numbers.

    Args:
        column: Numbers, or strings of numbers.
        path: The file, for messages.
        first_row: Row of the first value in the file, for messages.

    Returns:
        float64 array.

    Raises:
        UserError: If a rating is no finite number.

    Example:
        >>> parse_ratings(pa.array(["4.5", "3"]), Path("a.csv"), 2).tolist()
        [4.5, 3.0]
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (is_text(kind) or is_number(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"ratings are {kind}", "write numbers", path=path)
    read = pd.to_numeric(column.to_pandas(), errors="coerce")
    values: np.ndarray = np.asarray(read, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise BadRowsError(
            wrong,
            "rating is no number",
            f"rating {column[int(wrong[0])].as_py()!r} is no number",
            "mend it",
            path=path,
            row=int(wrong[0]) + first_row,
        )
    return values


def _to_numpy(column: pa.Array) -> np.ndarray:
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values
