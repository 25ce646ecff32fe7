"""Files in, one catalogue of all interactions out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch_geometric.data import HeteroData

from mmgraph.data.build import from_interactions
from mmgraph.data.formats.features import check_finite, read_feature_matrix
from mmgraph.data.formats.interactions import Interactions, read_interactions
from mmgraph.data.ids import check_distinct, match_ids
from mmgraph.data.line_up import item_ids
from mmgraph.data.overlap import log_overlap
from mmgraph.errors import UserError


def read_catalogue(
    interactions: str | Path,
    features: Mapping[str, str | Path],
    *,
    duplicates: str = "error",
    labels: bool = True,
    times: bool = True,
) -> HeteroData:
    """Read a table of interactions and the feature files of its items, not yet split.

    Args:
        interactions: The table. An ``.inter`` file must keep the rules of its layout:
            ids 0, 1, ... without gaps, one feature row per item.
        features: Feature file of each modality.
        duplicates: See :func:`read_interactions`.
        labels: Read the split column, see :func:`read_interactions`.
        times: Refuse times that cannot be read, see :func:`read_interactions`.

    Returns:
        The catalogue, with ``stored_dtype``: the dtype of each modality on disk.

    Raises:
        UserError: Naming file and row.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "shop.csv"
        >>> _ = path.write_text(os.linesep.join(["user,item", "ann,tea"]))
        >>> read_catalogue(path, {})["item"].raw_id.tolist()
        ['tea']
    """
    table = read_interactions(
        interactions, duplicates=duplicates, labels=labels, times=times
    )
    users: np.ndarray | None = None
    items: np.ndarray | None = None
    if table.path.suffix.lower() == ".inter":
        users = np.arange(_count_contiguous(table, table.user, "userID"))
        items = np.arange(_count_contiguous(table, table.item, "itemID"))
    paths = {name: Path(path) for name, path in features.items()}
    matrices = {name: read_feature_matrix(path) for name, path in paths.items()}
    for name, matrix in matrices.items():
        check_finite(matrix.values, paths[name])
        if matrix.ids is not None:
            check_distinct(matrix.ids, paths[name])
            _check_any_known(table, matrix.ids, paths[name])
        elif items is None:
            _check_row_numbers(table, len(matrix.values), paths[name])
        elif len(matrix.values) != len(items):
            raise UserError(
                f"{len(matrix.values)} feature rows for {len(items)} items",
                "give one row per item, in the order of the item ids",
                path=paths[name],
            )
    ids = {name: m.ids for name, m in matrices.items() if m.ids is not None}
    if items is None:
        num_rows = {name: len(matrix.values) for name, matrix in matrices.items()}
        items = item_ids(num_rows, ids, others=[table.item], labels=paths)
    else:
        for name, own in ids.items():
            log_overlap(own, items, label=paths[name], known_label=table.path.name)
    data = from_interactions(
        table.user,
        table.item,
        features={name: matrix.values for name, matrix in matrices.items()},
        feature_ids=ids,
        users=users,
        items=items,
        labels=table.label,
        timestamps=table.time,
    )
    data.stored_dtype = {name: matrix.dtype for name, matrix in matrices.items()}
    return data


def _count_contiguous(table: Interactions, ids: np.ndarray, column: str) -> int:
    """Number of ids 0, 1, ...; refuses any other id, and gaps."""
    fix = "number them 0, 1, ... without gaps, or name the file interactions.tsv"
    if ids.dtype.kind != "i":
        position = next(n for n, value in enumerate(ids) if not _is_index(value))
        raise UserError(
            f"{column} {ids[position].item()!r} is no whole number, or too large",
            fix,
            path=table.path,
            row=int(table.row[position]),
        )
    if ids.min() < 0:
        position = int(np.flatnonzero(ids < 0)[0])
        raise UserError(
            f"{column} {ids[position]} is negative",
            fix,
            path=table.path,
            row=int(table.row[position]),
        )
    present = np.unique(ids)
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if gaps.size:
        above = present[gaps[0]]
        raise UserError(
            f"{column} {gaps[0]} never occurs, yet {above} does",
            fix,
            path=table.path,
            row=int(table.row[np.flatnonzero(ids == above)[0]]),
        )
    return len(present)


def _is_index(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 18


def _check_any_known(table: Interactions, ids: np.ndarray, path: Path) -> None:
    """Refuse a feature file with ids of which no item is in the table."""
    if (match_ids(np.unique(table.item), ids) < 0).all():
        raise UserError(
            f"not one of its items is in {table.path.name}: its first id is "
            f"{ids[0].item()!r}, the first there is {table.item[0].item()!r}",
            "give the features of these items, with the same ids",
            path=path,
        )


def _check_row_numbers(table: Interactions, rows: int, path: Path) -> None:
    """Refuse a feature file without ids whose rows are not the items."""
    if table.item.dtype.kind != "i":
        raise UserError(
            "the file has no item ids, and the items of the table are not row numbers",
            "add the ids, or number the items 0, 1, ...",
            path=path,
        )
    outside = np.flatnonzero((table.item < 0) | (table.item >= rows))
    if outside.size:
        raise UserError(
            f"{rows} feature rows, but row {table.row[outside[0]]} of "
            f"{table.path.name} has item {table.item[outside[0]]}",
            "give one row per item, or add the ids",
            path=path,
        )
