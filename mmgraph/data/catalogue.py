"""Files in, one catalogue of all interactions out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from torch_geometric.data import HeteroData

from mmgraph.data.build import build_catalogue
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.data.formats.features import (
    FeatureMatrix,
    check_finite,
    read_feature_matrix,
    read_item_rows,
)
from mmgraph.data.formats.interactions import Interactions, read_interactions
from mmgraph.data.ids import CodedIds, check_distinct, match_ids
from mmgraph.data.line_up import item_ids
from mmgraph.data.overlap import log_overlap
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import WORKING_COPY


def read_catalogue(
    interactions: str | Path,
    features: Mapping[str, str | Path],
    *,
    duplicates: str = "error",
    labels: bool = True,
    times: bool = True,
    items_only: bool = False,
) -> HeteroData:
    """Read a table of interactions and the feature files of its items, not yet split.

    Args:
        interactions: The table. An ``.inter`` file must keep the rules of its layout:
            ids 0, 1, ... without gaps, one feature row per item.
        features: Feature file of each modality.
        duplicates: See :func:`read_interactions`.
        labels: Read the split column, see :func:`read_interactions`.
        times: Refuse times that cannot be read, see :func:`read_interactions`.
        items_only: Of the feature files take the items that they name, no features.
            Beside an ``.inter`` file, which has all items, they are not opened.

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
    return catalogue_of(table, features, items_only=items_only)


def catalogue_of(
    table: Interactions,
    features: Mapping[str, str | Path],
    *,
    items_only: bool = False,
    read: Callable[[str, Path], FeatureMatrix] | None = None,
) -> HeteroData:
    """:func:`read_catalogue` of interactions that were read before.

    Args:
        table: The interactions.
        features: Feature file of each modality.
        items_only: See there.
        read: Reads the features of a modality; by default as :func:`read_catalogue`.

    Returns:
        The catalogue.

    Raises:
        UserError: Naming file and row.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "shop.csv"
        >>> _ = path.write_text(os.linesep.join(["user,item", "ann,tea"]))
        >>> catalogue_of(read_interactions(path), {})["user"].raw_id.tolist()
        ['ann']
    """
    users: np.ndarray | None = None
    items: np.ndarray | None = None
    if table.is_numbered:
        users = np.arange(_count_contiguous(table, table.user_codes, "userID"))
        items = np.arange(_count_contiguous(table, table.item_codes, "itemID"))
    paths = {name: Path(path) for name, path in features.items()}
    matrices: dict[str, FeatureMatrix] = {}
    if not items_only:
        read = read or _open
        matrices = {name: read(name, path) for name, path in paths.items()}
        rows = {name: (len(m.values), m.ids) for name, m in matrices.items()}
    elif items is None:
        rows = {name: read_item_rows(path) for name, path in paths.items()}
    else:
        rows, paths = {}, {}
    num_rows = {name: number for name, (number, _) in rows.items()}
    ids = {name: own for name, (_, own) in rows.items() if own is not None}
    for name, path in paths.items():
        _check_rows(ids.get(name), num_rows[name], table, items, path)
    if items is None:
        items = item_ids(num_rows, ids, others=[table.item_codes.names], labels=paths)
    else:
        for name, own in ids.items():
            log_overlap(own, items, label=paths[name], known_label=table.path.name)
    stored_dtype = {name: matrix.dtype for name, matrix in matrices.items()}
    values = {name: matrix.values for name, matrix in matrices.items()}
    matrices.clear()  # or they would lie beside what is made of them
    data = build_catalogue(
        table.user_codes,
        table.item_codes,
        values,
        {} if items_only else ids,
        users=users,
        items=items,
        labels=table.label,
        timestamps=table.time,
        own_features=True,
    )
    data.stored_dtype = stored_dtype
    return data


def _open(name: str, path: Path) -> FeatureMatrix:
    """Finite features as they are stored; a ``.npy`` stays on disk."""
    matrix = in_c_order(read_feature_matrix(path, dtype=None))
    refuse_broken(matrix, path)
    return matrix


def in_c_order(matrix: FeatureMatrix) -> FeatureMatrix:
    """The same features with the numbers of a row side by side.

    Example:
        >>> matrix = FeatureMatrix(np.eye(2, order="F"), None, "float64")
        >>> in_c_order(matrix).values.flags.c_contiguous
        True
    """
    values = matrix.values
    if values.flags.c_contiguous:
        return matrix  # still memory-mapped, if it was
    return matrix._replace(values=np.ascontiguousarray(values))


def refuse_broken(matrix: FeatureMatrix, path: Path) -> None:
    """Refuse features that float32 does not hold as finite numbers.

    Args:
        matrix: In C order.
        path: Their file.

    Raises:
        UserError: Naming the first such row.

    Example:
        >>> matrix = FeatureMatrix(np.eye(2), None, "float64")
        >>> refuse_broken(matrix, Path("visual.npy"))
    """
    for start, block in _float32_blocks(matrix.values):
        check_finite(block, path, first_row=start)


def broken_rows(values: np.ndarray) -> np.ndarray:
    """True for each row that float32 does not hold as finite numbers.

    Args:
        values: ``[N, D]`` in C order, in memory or memory-mapped.

    Example:
        >>> broken_rows(np.array([[1.0], [np.nan], [1e300]])).tolist()
        [False, True, True]
    """
    parts = [~np.isfinite(block).all(axis=1) for _, block in _float32_blocks(values)]
    return np.concatenate(parts)


def _float32_blocks(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    rows = FeatureRows(values).blocks(WORKING_COPY.rows(values.shape[1]))
    for start, block in rows:
        with np.errstate(over="ignore"):  # an overflow shows as infinity
            yield start, block.astype(np.float32, copy=False)


def _check_rows(
    ids: np.ndarray | None,
    rows: int,
    table: Interactions,
    items: np.ndarray | None,
    path: Path,
) -> None:
    """Refuse a feature file whose rows cannot be those of the items."""
    if ids is not None:
        check_distinct(ids, path)
        _check_any_known(table, ids, path)
    elif items is None:
        _check_row_numbers(table, rows, path)
    elif rows != len(items):
        raise UserError(
            f"{rows} feature rows for {len(items)} items",
            "give one row per item, in the order of the item ids",
            path=path,
        )


def _count_contiguous(table: Interactions, coded: CodedIds, column: str) -> int:
    """Number of ids 0, 1, ...; refuses any other id, and gaps."""
    present, ids = coded.names, coded.ids
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
    if (match_ids(table.item_codes.names, ids) < 0).all():
        raise UserError(
            f"not one of its items is in {table.path.name}: its first id is "
            f"{ids[0].item()!r}, the first there is {table.item[0].item()!r}",
            "give the features of these items, with the same ids",
            path=path,
        )


def _check_row_numbers(table: Interactions, rows: int, path: Path) -> None:
    """Refuse a feature file without ids whose rows are not the items."""
    known = table.item_codes.names
    if known.dtype.kind != "i":
        raise UserError(
            "the file has no item ids, and the items of the table are not row numbers",
            "add the ids, or number the items 0, 1, ...",
            path=path,
        )
    if known[0] < 0 or known[-1] >= rows:
        first = np.flatnonzero((table.item < 0) | (table.item >= rows))[0]
        raise UserError(
            f"{rows} feature rows, but row {table.row[first]} of "
            f"{table.path.name} has item {table.item[first]}",
            "give one row per item, or add the ids",
            path=path,
        )
