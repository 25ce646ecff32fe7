"""Recommendations as a table of original ids."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.ids import as_ids, ids_to_index, match_ids
from mmgraph.errors import UserError
from mmgraph.files import write_atomic
from mmgraph.models.base import Recommender
from mmgraph.schema import ITEM, USER
from mmgraph.train.evaluation import recommend


def recommend_table(
    model: Recommender,
    data: HeteroData,
    user_ids: Sequence[object] | None = None,
    k: int = 20,
) -> pd.DataFrame:
    """The ``k`` best items of users, by original ids.

    Args:
        model: A trained model.
        data: The data it was trained on.
        user_ids: Original ids, as they are or as text; None for all users.
        k: Items per user.

    Returns:
        Columns ``user_id, item_id, rank, score``, users in the order given, rank from
        1. Items of the user's training history never occur, so a user with few
        candidates left has fewer rows.

    Raises:
        UserError: If an id is unknown, naming it.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> user = train["user"].raw_id[0]
        >>> table = recommend_table(build_model("MF-BPR", train), train, [user], k=3)
        >>> list(table.columns), list(table["rank"])
        (['user_id', 'item_id', 'rank', 'score'], [1, 2, 3])
    """
    user_raw, item_raw = np.asarray(data[USER].raw_id), np.asarray(data[ITEM].raw_id)
    if user_ids is None:
        index = np.arange(len(user_raw))
    else:
        index = np.asarray(ids_to_index(data, USER, user_ids))
    best = recommend(model, data, torch.from_numpy(index), k)
    item, score = (tensor.cpu().numpy() for tensor in best)
    row, column = np.nonzero(item >= 0)
    return pd.DataFrame(
        {
            "user_id": user_raw[index[row]],
            "item_id": item_raw[item[row, column]],
            "rank": column + 1,
            "score": score[row, column],
        }
    )


def read_user_ids(users: str, data: HeteroData) -> list[str]:
    """User ids of a file or of a list, each once.

    Args:
        users: A file with one id per line, or ids with commas between.
        data: The data that know them.

    Raises:
        UserError: If there are none, one is unknown (with its row in the file), or the
            file is not UTF-8 text.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> read_user_ids("u001, u000,u001", load_dataset("synthetic")[0])
        ['u001', 'u000']
    """
    is_file = os.path.isfile(users)  # a long list is no name that Path would ask for
    words = _lines(Path(users)) if is_file else users.split(",")
    rows: dict[str, int] = {}
    for row, word in enumerate(words, start=1):
        if word.strip():
            rows.setdefault(word.strip(), row)
    ids = list(rows)
    if not ids:
        raise UserError("no user ids given", "write one id per line, or id,id")
    positions = match_ids(data[USER].raw_id, as_ids(ids))
    unknown = [word for word, n in zip(ids, positions, strict=True) if n < 0]
    if unknown:
        path = users if is_file else None
        raise _unknown_user(unknown[0], path, rows[unknown[0]], alone=len(ids) == 1)
    return ids


def check_table_name(path: Path) -> None:
    """Refuse a table that :func:`write_table` could not write.

    Raises:
        UserError: If the name does not end in ``.csv`` or ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"cannot write {path.name!r}", "name it .csv or .parquet")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as ``.csv`` or ``.parquet``; it is there whole or not at all.

    Raises:
        UserError: If the name has another ending.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "top.csv"
        >>> write_table(pd.DataFrame({"rank": [1]}), path)
        >>> path.read_text().split()
        ['rank', '1']
    """
    check_table_name(path)
    buffer = io.BytesIO()
    if path.suffix == ".csv":
        table.to_csv(buffer, index=False)
    else:
        table.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())


def _unknown_user(word: str, path: str | None, row: int, *, alone: bool) -> UserError:
    if path is not None:
        return UserError(
            f"unknown user id {word!r}",
            "write an id of the catalogue in every row, and no header",
            path=path,
            row=row,
        )
    if alone and (os.sep in word or Path(word).suffix):
        return UserError(
            f"no such file or user id: {word!r}",
            "give a file with one id per line, or id,id",
        )
    return UserError(f"unknown user id {word!r}", "use an id of the catalogue")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            "not UTF-8 text", "write one id per line, in UTF-8", path=path
        ) from error
