"""One rule for which row of a feature file belongs to which item.

Items are the ids that any file names, ascending: integers by value, strings by code
point. Where some ids are integers and others strings, all are strings and meet by their
spelling. A file without ids has one row per item, 0, 1, ...; beside such a file the ids
of the others are its row numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmgraph.data.feature_rows import FeatureRows
from mmgraph.data.formats.features import (
    check_finite,
    check_nonzero,
    read_feature_matrix,
)
from mmgraph.data.formats.layout import feature_files, is_mmrec, log_files
from mmgraph.data.graphs.graph_file import GraphFile
from mmgraph.data.ids import as_ids, check_distinct, match_ids, one_kind, union_ids
from mmgraph.data.importing.id_columns import column_names
from mmgraph.data.overlap import log_overlap
from mmgraph.errors import UserError
from mmgraph.folders import check_contents


@dataclass(frozen=True)
class ItemFeatures:
    """Features of several modalities of the same items.

    Attributes:
        ids: Id of each item ``[N]``, int64 or strings; None where items are row numbers
            and no file has ids.
        features: Modality -> its rows, item by item.
    """

    ids: np.ndarray | None
    features: dict[str, FeatureRows]

    @property
    def num_items(self) -> int:
        """N."""
        return next(iter(self.features.values())).num_items


def line_up_features(
    files: Mapping[str, str | Path],
    *,
    nan: str = "refuse",
    zero: str = "isolate",
    id_columns: Mapping[str, str] | None = None,
) -> ItemFeatures:
    """Read the feature file of each modality over the same items.

    The items are those that any file names by id, ascending, as
    :func:`~mmgraph.data.ids.union_ids` orders them; beside a file without ids, whose
    rows are the items 0, 1, ..., ids are row numbers. A float32 ``.npy`` stays on disk,
    everything else is read into memory.

    Args:
        files: File of each modality.
        nan: ``refuse`` a row with NaN or infinity, or keep it (``isolate``).
        zero: ``refuse`` a row of zeros, or keep it (``isolate``).
        id_columns: Column or array of the ids in files where it has none of the usual
            names, see :func:`~mmgraph.data.formats.features.read_feature_matrix`.

    Returns:
        The ids and the rows of each modality, in the order of ``files``.

    Raises:
        UserError: If a file cannot be read, is refused, or does not fit the others.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "a.npz", features=np.eye(2), ids=[12, 7])
        >>> np.savez(folder / "b.npz", features=np.eye(2), ids=["rum", "12"])
        >>> items = line_up_features({n: folder / f"{n}.npz" for n in ("a", "b")})
        >>> items.ids.tolist()
        ['12', '7', 'rum']
        >>> items.features["b"].matrix.tolist()
        [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    """
    if zero not in ("isolate", "refuse"):
        raise UserError(f"--zero is {zero!r}", "write isolate or refuse")
    paths = {name: Path(path) for name, path in files.items()}
    values, ids, columns = {}, {}, id_columns or {}
    for name, path in paths.items():
        values[name], own = _open(path, nan, zero, columns.get(name))
        if own is not None:
            ids[name] = own
    items = item_ids({name: len(x) for name, x in values.items()}, ids, labels=paths)
    rows = {name: row_of_each(items, ids.get(name)) for name in paths}
    return ItemFeatures(items, {n: FeatureRows(values[n], rows[n]) for n in paths})


def open_features(folder: str | Path) -> dict[str, FeatureRows]:
    """Open every feature file of a data folder and line their items up.

    Interactions are not read; the items are those of :func:`line_up_features`.

    Args:
        folder: The data folder, see :func:`mmgraph.data.load_dataset`.

    Returns:
        Rows of each modality over the same items, in the usual order.

    Raises:
        UserError: If the folder has no feature file, a file is damaged or holds NaN, or
            rows and ids do not fit together.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "visual.npz", features=np.eye(2), ids=["tea", "rum"])
        >>> np.savez(folder / "sound.npz", features=np.eye(2), ids=["rum", "ale"])
        >>> for name, rows in open_features(folder).items():
        ...     print(name, rows.num_items, rows.missing.tolist())  # ale, rum, tea
        visual 3 [True, False, False]
        sound 3 [False, False, True]
    """
    folder = Path(folder)
    check_contents(folder)
    files = feature_files(folder, mmrec=is_mmrec(folder))
    if not files:
        raise UserError(
            "no feature file",
            "add <modality>_feat.npy, or <modality>.npy, .npz, .safetensors, .parquet",
            path=folder,
        )
    features = line_up_features(files).features
    log_files(folder, files.values())
    return features


def item_ids(
    num_rows: Mapping[str, int],
    ids: Mapping[str, np.ndarray],
    *,
    others: Iterable[np.ndarray] = (),
    labels: Mapping[str, str | Path],
) -> np.ndarray | None:
    """Items of several feature matrices, of which some have ids.

    Where ids meet those of the interactions, or of the first matrix, only in part, this
    is logged.

    Args:
        num_rows: Number of rows of each modality.
        ids: Id of each row, for the modalities that have them.
        others: Further ids, those of the interactions.
        labels: File of each modality, or what else it is called in a message.

    Returns:
        The ids in the order of the items; None where no ids are given at all.

    Raises:
        UserError: If matrices without ids differ in length, or an id beside them is no
            row number.

    Example:
        >>> item_ids({"a": 2}, {"a": np.array(["tea", "ale"])}, labels={}).tolist()
        ['ale', 'tea']
    """
    bare = {name: rows for name, rows in num_rows.items() if name not in ids}
    others = list(others)
    for name, rows in bare.items():
        first, expected = next(iter(bare.items()))
        if rows != expected:
            raise UserError(
                f"{rows} rows, but {Path(labels[first]).name} has {expected}",
                "give every modality a row per item, zeros where it is missing, or "
                "give every file ids",
                path=labels[name],
            )
    if not (ids or others):
        return None
    if not bare:
        _log_overlaps(ids, others, labels)
        return union_ids([*others, *ids.values()])
    first, expected = next(iter(bare.items()))
    items = np.arange(expected)
    for name, own in ids.items():
        unknown = np.flatnonzero(match_ids(items, own) < 0)
        if unknown.size:
            raise UserError(
                f"item id {own[unknown[0]].item()!r} at row {unknown[0]} (counted from "
                f"0) is no row number of {Path(labels[first]).name}, which has no ids",
                "give every file ids",
                path=labels[name],
            )
    return items


def _log_overlaps(
    ids: Mapping[str, np.ndarray],
    others: Sequence[np.ndarray],
    labels: Mapping[str, str | Path],
) -> None:
    rest = dict(ids)
    if others:
        known, known_label = union_ids(others), "the table of interactions"
    else:
        first = next(iter(ids))
        known, known_label = rest.pop(first), Path(labels.get(first, first)).name
    for name, own in rest.items():
        log_overlap(
            own,
            known,
            label=labels.get(name, name),
            known_label=known_label,
            is_table=bool(others),
        )


def graph_features(
    paths: Sequence[str | Path],
    file: GraphFile,
    *,
    dtype: str = "float32",
    id_column: str | None = None,
) -> np.ndarray:
    """Read the features of one modality in the order of the rows of a graph.

    Args:
        paths: Files in the order in which their items came into the graph.
        file: The graph. Where it and the files have ids, they say which row is which,
            and an item that is in no file is zero. A row without an id is the item of
            its number, or of its position where the graph's ids are no row numbers.
        dtype: The dtype that the graph was computed in.
        id_column: Column or array of the ids, in the files that have it.

    Returns:
        ``[N, D]``.

    Raises:
        UserError: If the files do not fit the graph, or each other, or an item has two
            rows.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.eye(2, dtype="f4"))
        >>> graph_features([path, path], GraphFile(4, None, {})).shape
        (4, 2)
    """
    parts: list[np.ndarray] = []
    own_ids: list[np.ndarray | None] = []
    for path in paths:
        column = id_column if id_column in column_names(Path(path)) else None
        values, own, _ = read_feature_matrix(
            path, mmap=True, dtype=dtype, id_column=column
        )
        if parts and values.shape[1] != parts[0].shape[1]:
            raise UserError(
                f"{values.shape[1]} dimensions, but {paths[0]} has {parts[0].shape[1]}",
                "give features of one encoder",
                path=path,
            )
        if own is not None:
            check_distinct(own, path)
        parts.append(values)
        own_ids.append(own)
    x = parts[0] if len(parts) == 1 else np.concatenate(parts)
    bare = [own is None for own in own_ids]
    surplus, by_row = len(x) - file.num_items, file.ids is None or all(bare)
    if (by_row and surplus) or (any(bare) and surplus > 0):
        raise UserError(
            f"{len(x)} rows, but the graph has {file.num_items} items",
            "give the features that the graph was built from",
            path=paths[-1],
        )
    if file.ids is None:
        return x
    items = as_ids(file.ids)
    named = _name_rows(own_ids, [len(part) for part in parts], items)
    _check_apart(named, paths)
    names = np.concatenate(one_kind(named))
    strangers = names[match_ids(items, names) < 0]
    if strangers.size:
        raise UserError(
            f"item {min(strangers.tolist(), key=str)!r} is not in the graph",
            "give the features that the graph was built from",
            path=paths[-1],
        )
    return FeatureRows(x, row_of_each(items, names)).matrix


def _open(
    path: Path, nan: str, zero: str, id_column: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    values, ids, _ = read_feature_matrix(path, mmap=True, id_column=id_column)
    if not values.flags.c_contiguous:  # rows would be scattered all over the file
        values = np.ascontiguousarray(values)
    for start, block in FeatureRows(values).blocks():
        if nan == "refuse":
            check_finite(block, path, first_row=start)
        if zero == "refuse":
            check_nonzero(block, path, first_row=start)
    if ids is not None:
        check_distinct(ids, path)
    return values, ids


def row_of_each(items: np.ndarray | None, ids: np.ndarray | None) -> np.ndarray | None:
    """Row of each item among ``ids``, -1 where it has none; None: row = item.

    Args:
        items: Ids of the items; None where they are the row numbers.
        ids: Ids of the rows; None where row = item.

    Example:
        >>> row_of_each(np.array(["a", "b"]), np.array(["b", "c"])).tolist()
        [-1, 0]
    """
    if items is None or ids is None:
        return None
    row = match_ids(ids, items)
    in_order = len(ids) == len(items) and np.array_equal(row, np.arange(len(row)))
    return None if in_order else row


def _name_rows(
    own_ids: Sequence[np.ndarray | None], lengths: Sequence[int], items: np.ndarray
) -> list[np.ndarray]:
    """An id for every row of every file, as :func:`graph_features` says."""
    row_numbers = np.arange(len(items))
    by_number = (match_ids(items, row_numbers) >= 0).all()
    names = row_numbers if by_number else items
    starts = np.cumsum([0, *lengths])
    return [
        names[start : start + length] if own is None else own
        for own, start, length in zip(own_ids, starts, lengths, strict=False)
    ]


def _check_apart(named: Sequence[np.ndarray], paths: Sequence[str | Path]) -> None:
    """Refuse an item that two files have: which row holds would be a guess."""
    for number, path in enumerate(paths):
        for ids, holder in zip(named[:number], paths, strict=False):
            again = np.flatnonzero(match_ids(ids, named[number]) >= 0)
            if again.size:
                raise UserError(
                    f"item id {named[number][again[0]].item()!r} at row {again[0]} "
                    f"(counted from 0) is in {holder} as well",
                    "keep one row per item in the files of a graph",
                    path=path,
                )
