"""The features of the items of a graph, in the order of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgraph.data.feature_tables import spread
from mmgraph.data.graph_file import GraphFile
from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def graph_features(paths: Sequence[Path], file: GraphFile) -> np.ndarray:
    """Read the rows of one modality from one or several files, one after the other.

    Args:
        paths: Files in the order in which their items came into the graph.
        file: The graph; where it and the files have ids, they say which row is which,
            and an item that is in no file is zero.

    Returns:
        float32 ``[N, D]``.

    Raises:
        UserError: If the files do not fit the graph, or each other, or an item has two
            rows.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.eye(2, dtype="f4"))
        >>> graph_features([path, path], GraphFile(4, None, {})).shape
        (4, 2)
    """
    import numpy as np

    from mmgraph.data.formats.features import read_features
    from mmgraph.data.ids import check_distinct

    parts: list[np.ndarray] = []
    own: list[list[Any] | None] = []
    for path in paths:
        values, ids = read_features(path, mmap=True)
        if parts and values.shape[1] != parts[0].shape[1]:
            raise UserError(
                f"{values.shape[1]} dimensions, but {paths[0]} has {parts[0].shape[1]}",
                "give features of one encoder",
                path=path,
            )
        if ids is not None:
            check_distinct(ids, path)
        parts.append(values)
        own.append(None if ids is None else ids.tolist())
    x = parts[0] if len(parts) == 1 else np.concatenate(parts)
    surplus, by_row = len(x) - file.num_items, file.ids is None or not any(own)
    if (by_row and surplus) or (None in own and surplus > 0):
        raise UserError(
            f"{len(x)} rows, but the graph has {file.num_items} items",
            "give the features that the graph was built from",
            path=paths[-1],
        )
    if file.ids is None:
        return x
    known = _named(own, [len(part) for part in parts], file.ids)
    _check_apart(known, paths)
    names = [key for ids in known for key in ids]
    if names == file.ids:
        return x
    strangers = sorted(set(names) - set(file.ids), key=str)
    if strangers:
        raise UserError(
            f"item {strangers[0]!r} is not in the graph",
            "give the features that the graph was built from",
            path=paths[-1],
        )
    return spread(x, names, file.ids)


def _named(
    own: Sequence[list[Any] | None], lengths: Sequence[int], ids: list[Any]
) -> list[list[Any]]:
    """An id for every row: one without is the item of its number, as in a build.

    Where the graph's ids are no row numbers, it is the item at its place in the graph.
    """
    numbers = list(range(len(ids)))
    place = numbers if set(ids) == set(numbers) else ids
    starts = [sum(lengths[:part]) for part in range(len(lengths))]
    return [
        place[start : start + length] if keys is None else keys
        for keys, start, length in zip(own, starts, lengths, strict=True)
    ]


def _check_apart(own: Sequence[list[Any]], paths: Sequence[Path]) -> None:
    """Refuse an item that two files have: which row holds would be a guess."""
    holder: dict[Any, Path] = {}
    for ids, path in zip(own, paths, strict=True):
        for row, key in enumerate(ids):
            if key in holder:
                raise UserError(
                    f"item id {key!r} at row {row} (counted from 0) is in "
                    f"{holder[key]} as well",
                    "keep one row per item in the files of a graph",
                    path=path,
                )
        holder.update(dict.fromkeys(ids, path))
