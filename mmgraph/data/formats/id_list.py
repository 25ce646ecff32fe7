"""Ids that a user lists, in words or in a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mmgraph.data.ids import as_ids, match_ids
from mmgraph.errors import UserError


def read_id_list(words: str, known: np.ndarray, kind: str) -> np.ndarray:
    """Positions of listed ids among known ones, each once, in the order of the list.

    Args:
        words: A file with one id per line, or ids with commas between.
        known: All ids there are.
        kind: What they are of, ``"user"`` or ``"item"``, for messages.

    Returns:
        int64 ``[n]``.

    Raises:
        UserError: If there are none, one is unknown (with its row in the file), or the
            file is not UTF-8 text.

    Example:
        >>> read_id_list("tea, rum,tea", as_ids(["ale", "rum", "tea"]), "item")
        array([2, 1])
    """
    is_file = os.path.isfile(words)  # a long list is no name that Path would ask for
    listed = _lines(Path(words)) if is_file else words.split(",")
    rows: dict[str, int] = {}
    for row, word in enumerate(listed, start=1):
        if word.strip():
            rows.setdefault(word.strip(), row)
    ids = list(rows)
    if not ids:
        raise UserError(f"no {kind} ids given", "write one id per line, or id,id")
    positions = match_ids(known, as_ids(ids))
    unknown = [word for word, n in zip(ids, positions, strict=True) if n < 0]
    if unknown:
        path = words if is_file else None
        raise _unknown(unknown[0], kind, path, rows[unknown[0]], alone=len(ids) == 1)
    return positions


def _unknown(
    word: str, kind: str, path: str | None, row: int, *, alone: bool
) -> UserError:
    if path is not None:
        return UserError(
            f"unknown {kind} id {word!r}",
            "write an id of the catalogue in every row, and no header",
            path=path,
            row=row,
        )
    if alone and (os.sep in word or Path(word).suffix):
        return UserError(
            f"no such file or {kind} id: {word!r}",
            "give a file with one id per line, or id,id",
        )
    return UserError(f"unknown {kind} id {word!r}", "use an id of the catalogue")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            "not UTF-8 text", "write one id per line, in UTF-8", path=path
        ) from error
