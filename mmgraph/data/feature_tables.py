"""Feature files of several modalities as tables over one list of items."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class FeatureTables:
    """Tables with a row per item.

    Attributes:
        tables: Modality -> float32 ``[N, D]``.
        ids: The items' ids, or None where a row number is all there is.
        missing: Modality -> items that its file does not have: rows of zeros.
    """

    tables: dict[str, np.ndarray]
    ids: list[Any] | None
    missing: dict[str, int]


def modality_names(features: Sequence[Path]) -> dict[str, Path]:
    """A modality is called as its file: ``image_feat.npy`` is ``visual``.

    Example:
        >>> modality_names([Path("image_feat.npy"), Path("depth.npz")])
        {'visual': PosixPath('image_feat.npy'), 'depth': PosixPath('depth.npz')}
    """
    from mmgraph.data.formats.layout import modality_of

    names: dict[str, Path] = {}
    for path in features:
        name = modality_of(path)
        if name in names:
            raise UserError(
                f"{names[name]} and this file are both {name!r}",
                "rename one: the name of a file is the name of its modality",
                path=path,
            )
        names[name] = path
    return names


def read_tables(
    names: dict[str, Path], *, refuse_nan: bool = True, refuse_zero: bool = False
) -> FeatureTables:
    """Read every modality over the same items: with ids, all that any file names.

    A row of a file without ids is the item of its number: beside such a file, ids are
    row numbers, as in a data folder.

    Args:
        names: Modality -> file.
        refuse_nan: Refuse a row with NaN or infinity.
        refuse_zero: Refuse a row of zeros.

    Raises:
        UserError: If a file cannot be read, is refused, or does not fit the others.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.eye(2, dtype="f4"))
        >>> read_tables({"a": path}).missing
        {'a': 0}
    """
    from mmgraph.data.formats.features import check_finite, read_features
    from mmgraph.data.ids import check_distinct

    tables, own_ids = {}, {}
    for name, path in names.items():
        tables[name], own_ids[name] = read_features(path, mmap=True)
        if refuse_nan:
            check_finite(tables[name], path)
        if refuse_zero:
            _check_not_zero(tables[name], path)
        own = own_ids[name]
        if own is not None:
            check_distinct(own, path)
    missing = dict.fromkeys(names, 0)
    known = {name: own.tolist() for name, own in own_ids.items() if own is not None}
    bare = {name: len(x) for name, x in tables.items() if name not in known}
    ids = _items(known, bare, names)
    if ids is not None:
        for name, own in known.items():
            missing[name] = len(ids) - len(own)
            if own != ids:
                tables[name] = spread(tables[name], own, ids)
    return FeatureTables(tables, ids, missing)


def _items(
    known: dict[str, list[Any]], bare: dict[str, int], names: dict[str, Path]
) -> list[Any] | None:
    """All items, given the ids of some files and the numbers of rows of the others."""
    for name, rows in bare.items():
        first, expected = next(iter(bare.items()))
        if rows != expected:
            raise UserError(
                f"{rows} rows, but {names[first].name} has {expected}",
                "give every modality a row per item, zeros where it is missing, or "
                "give every file ids",
                path=names[name],
            )
    if not known:
        return None
    if not bare:
        _check_one_kind(known, names)
        return list(dict.fromkeys(key for own in known.values() for key in own))
    items = range(next(iter(bare.values())))
    for name, own in known.items():
        for row, key in enumerate(own):
            if key not in items:
                raise UserError(
                    f"item id {key!r} at row {row} (counted from 0) is no row number "
                    f"of {names[next(iter(bare))].name}, which has no ids",
                    "give every file ids",
                    path=names[name],
                )
    return list(items)


def _check_one_kind(known: dict[str, list[Any]], names: dict[str, Path]) -> None:
    """Whether 12 is "12" would be a guess."""
    first, *others = known
    for name in others:
        if _kind(known[name]) != _kind(known[first]):
            raise UserError(
                f"item ids are {_kind(known[name])}, those of {names[first].name} are "
                f"{_kind(known[first])}",
                "write both as integers, or both as strings",
                path=names[name],
            )


def _kind(ids: list[Any]) -> str:
    return "strings" if isinstance(ids[0], str) else "integers"


def as_tensor(x: np.ndarray) -> torch.Tensor:
    """The same memory, also where it is a file that cannot be written to.

    Example:
        >>> import numpy as np
        >>> as_tensor(np.ones(2))
        tensor([1., 1.], dtype=torch.float64)
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(x)


def spread(x: np.ndarray, own: list[Any], ids: list[Any]) -> np.ndarray:
    """Rows in the order of ``ids``; zeros where there is none.

    Example:
        >>> import numpy as np
        >>> spread(np.array([[1.0], [2.0]]), ["b", "a"], ["a", "b", "c"]).tolist()
        [[2.0], [1.0], [0.0]]
    """
    import numpy as np

    place = {key: row for row, key in enumerate(ids)}
    result = np.zeros((len(ids), x.shape[1]), x.dtype)
    result[[place[key] for key in own]] = x
    return result


def _check_not_zero(x: np.ndarray, path: Path) -> None:
    import numpy as np

    for start in range(0, len(x), 65_536):
        empty = np.flatnonzero(~x[start : start + 65_536].any(axis=1))
        if empty.size:
            raise UserError(
                f"row {start + empty[0]} (counted from 0) is zero",
                "leave the row out of a file with ids, or use --zero isolate",
                path=path,
            )
