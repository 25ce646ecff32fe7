"""Ids that a user lists, in words or in a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mmgraph.data.ids import as_ids, match_ids
from mmgraph.errors import UserError

_TEXTS = (".txt", ".csv", ".tsv", ".ids", ".list")  # endings of no id


def read_id_list(
    words: str, known: np.ndarray, kind: str, *, or_else: str = ""
) -> np.ndarray:
    """Positions of listed ids among known ones, each once, in the order of the list.

    Args:
        words: A file with one id per line, or ids with commas between.
        known: All ids there are.
        kind: What they are of, ``"user"`` or ``"item"``, for messages.
        or_else: What else can be done about an unknown one, for its message.

    Returns:
        int64 ``[n]``.

    Raises:
        UserError: If there are none, one is unknown (with its row in the file), or the
            file is not UTF-8 text.

    Example:
        >>> read_id_list("tea, rum,tea", as_ids(["ale", "rum", "tea"]), "item")
        array([2, 1])
    """
    positions, unknown = split_id_list(words, known, kind)
    if unknown:
        path = words if _is_file(words) else None
        word, row = next(iter(unknown.items()))
        alone = len(positions) + len(unknown) == 1
        raise _unknown(word, kind, path, row, alone=alone, or_else=or_else)
    return positions


def split_id_list(
    words: str, known: np.ndarray, kind: str
) -> tuple[np.ndarray, dict[str, int]]:
    """:func:`read_id_list` that takes unknown ids, too.

    Args:
        words: See there.
        known: See there.
        kind: See there.

    Returns:
        Positions of the known ones; the unknown ones, in order, with their row.

    Raises:
        UserError: If there are none, or the file is not UTF-8 text.

    Example:
        >>> split_id_list("tea, gin", as_ids(["ale", "rum", "tea"]), "item")
        (array([2]), {'gin': 2})
    """
    listed = _lines(Path(words)) if _is_file(words) else words.split(",")
    rows: dict[str, int] = {}
    for row, word in enumerate(listed, start=1):
        if word.strip():
            rows.setdefault(word.strip(), row)
    if not rows:
        raise UserError(f"no {kind} ids given", "write one id per line, or id,id")
    positions = match_ids(known, as_ids(list(rows)))
    unknown = [word for word, n in zip(rows, positions, strict=True) if n < 0]
    for word in unknown if len(rows) == 1 and not _is_file(words) else ():
        if os.sep in word or Path(word).suffix.lower() in _TEXTS:
            raise _unknown(word, kind, None, 1, alone=True)
    return positions[positions >= 0], {word: rows[word] for word in unknown}


def _is_file(words: str) -> bool:
    return os.path.isfile(words)  # a long list is no name that Path would ask for


def _unknown(
    word: str,
    kind: str,
    path: str | None,
    row: int,
    *,
    alone: bool,
    or_else: str = "",
) -> UserError:
    what, rest = f"unknown {kind} id {word!r}", f", {or_else}" if or_else else ""
    if path is not None:
        fix = "write an id of the catalogue in every row, and no header"
        return UserError(what, fix + rest, path=path, row=row)
    if alone and (os.sep in word or Path(word).suffix):
        return UserError(
            f"no such file or {kind} id: {word!r}",
            "give a file with one id per line, or id,id",
        )
    return UserError(what, "use an id of the catalogue" + rest)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            "not UTF-8 text", "write one id per line, in UTF-8", path=path
        ) from error
