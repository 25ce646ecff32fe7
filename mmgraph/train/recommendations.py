"""Recommendations as a table of original ids."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.formats.id_list import read_id_list
from mmgraph.data.ids import ids_to_index
from mmgraph.errors import UserError
from mmgraph.files import write_atomic_by
from mmgraph.models.base import Recommender
from mmgraph.schema import ITEM, USER
from mmgraph.train.arguments import check_kinds
from mmgraph.train.evaluation import rank_items

#: Rows of a table that are held and written at a time.
_ROWS = 2**18


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
    blocks = recommend_blocks(model, data, user_ids, k)
    return pd.concat(list(blocks), ignore_index=True)


def recommend_blocks(
    model: Recommender,
    data: HeteroData,
    user_ids: Sequence[object] | None = None,
    k: int = 20,
    *,
    on_users: Callable[[int], None] | None = None,
) -> Iterator[pd.DataFrame]:
    """:func:`recommend_table` in parts of some hundred thousand rows, one at a time.

    Args:
        model: A trained model.
        data: The data it was trained on.
        user_ids: Original ids, as they are or as text; None for all users.
        k: Items per user.
        on_users: Called with the number of users that were ranked since its last call.

    Yields:
        Parts of the table, the users of one part together; one at least.

    Raises:
        UserError: If an id is unknown, naming it.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> parts = recommend_blocks(build_model("MF-BPR", train), train, k=1)
        >>> [len(part) for part in parts] == [train["user"].num_nodes]
        True
    """
    check_kinds(model, data=data)
    if user_ids is None:
        users = torch.arange(int(data[USER].num_nodes))
    else:
        users = ids_to_index(data, USER, user_ids)
    return _blocks(model, data, users, k, on_users)


def _blocks(
    model: Recommender,
    data: HeteroData,
    users: Tensor,
    k: int,
    on_users: Callable[[int], None] | None,
) -> Iterator[pd.DataFrame]:
    ranked: list[tuple[Tensor, ...]] = []
    rows = 0
    for block in rank_items(model, data, users, k):
        ranked.append(block)
        rows += block[1].numel()
        if on_users is not None:
            on_users(len(block[0]))
        if rows >= _ROWS:
            yield _table(data, ranked)
            ranked, rows = [], 0
    if ranked:
        yield _table(data, ranked)


def _table(data: HeteroData, ranked: list[tuple[Tensor, ...]]) -> pd.DataFrame:
    """Users, items and scores by original ids, as :func:`recommend_table` says."""
    parts = (torch.cat(each).cpu().numpy() for each in zip(*ranked, strict=True))
    user, item, score = parts
    user_raw, item_raw = np.asarray(data[USER].raw_id), np.asarray(data[ITEM].raw_id)
    row, column = np.nonzero(score > -np.inf)
    return pd.DataFrame(
        {
            "user_id": user_raw[user[row]],
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
    known = np.asarray(data[USER].raw_id)
    return [str(one) for one in known[read_id_list(users, known, "user")]]


def check_table_name(path: Path) -> None:
    """Refuse a table that :func:`write_table` could not write.

    Raises:
        UserError: If the name does not end in ``.csv`` or ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"cannot write {path.name!r}", "name it .csv or .parquet")


def write_table(table: pd.DataFrame | Iterable[pd.DataFrame], path: Path) -> None:
    """Write a table as ``.csv`` or ``.parquet``; it is there whole or not at all.

    Args:
        table: The table, or its parts, of which one at a time is held.
        path: The file.

    Raises:
        UserError: If the name has another ending, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "top.csv"
        >>> parts = [pd.DataFrame({"rank": [rank]}) for rank in (1, 2)]
        >>> write_table(parts, path)
        >>> path.read_text().split()
        ['rank', '1', '2']
    """
    check_table_name(path)
    parts = iter([table] if isinstance(table, pd.DataFrame) else table)
    write = _write_csv if path.suffix == ".csv" else _write_parquet
    write_atomic_by(path, partial(write, parts))


def _write_csv(parts: Iterator[pd.DataFrame], file: io.FileIO) -> None:
    for number, part in enumerate(parts):
        file.write(part.to_csv(index=False, header=number == 0).encode())


def _write_parquet(parts: Iterator[pd.DataFrame], file: Any) -> None:
    first = next(parts)
    while first.empty and (following := next(parts, None)) is not None:
        first = following  # an empty part does not show what its columns hold
    schema = pa.Schema.from_pandas(first, preserve_index=False)
    with pq.ParquetWriter(file, schema) as writer:
        for part in chain([first], parts):
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
