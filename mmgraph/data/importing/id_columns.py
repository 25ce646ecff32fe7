"""The ids of a feature file that calls them otherwise than we do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmgraph.data.formats.columns import parse_ids
from mmgraph.data.formats.feature_formats import LIKE_AN_ID, open_safetensors
from mmgraph.data.formats.npy import npz_names, read_npz
from mmgraph.data.formats.parquet import is_text, read_columns, read_schema
from mmgraph.data.formats.tables.table_format import ID_NAMES, SEPARATORS
from mmgraph.data.formats.tables.text_numbers import read_text_numbers
from mmgraph.data.ids import as_ids, match_ids
from mmgraph.errors import UserError


def find_id_columns(
    features: Mapping[str, Path], items: np.ndarray, named: str | None = None
) -> dict[str, str]:
    """Column or array of the item ids in each feature file that has no usual one.

    Args:
        features: Feature file of each modality.
        items: Ids of the items with interactions.
        named: Column that the user named; files that lack it are looked through.

    Returns:
        The column of each modality that has one: the one named, else the one of which
        most ids are items. Files with usual names, or no ids, are left out.

    Raises:
        UserError: If no file has the column that was named.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pictures.npz"
        >>> np.savez(path, features=np.eye(2), asin=["B1", "B2"], title=["tea", "ale"])
        >>> find_id_columns({"visual": path}, np.array(["B1", "B2"]))
        {'visual': 'asin'}
    """
    found = {} if named is None else named_id_columns(features, named)
    for name, path in features.items():
        names = column_names(path)
        if name not in found and not any(each.lower() in ID_NAMES for each in names):
            column = _most_items(_candidates(path, names), items)
            if column is not None:
                found[name] = column
    return found


def named_id_columns(features: Mapping[str, Path], named: str) -> dict[str, str]:
    """The column that the user named, for each feature file that has it.

    Args:
        features: Feature file of each modality.
        named: Column or array of the item ids.

    Raises:
        UserError: If no file has it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.savez(folder / "a.npz", features=np.eye(2), asin=["B1", "B2"])
        >>> np.save(folder / "b.npy", np.eye(2))
        >>> named_id_columns({"a": folder / "a.npz", "b": folder / "b.npy"}, "asin")
        {'a': 'asin'}
    """
    names = {name: column_names(path) for name, path in features.items()}
    found = {name: named for name, own in names.items() if named in own}
    if not found:
        known = sorted({each for own in names.values() for each in own})
        raise UserError(
            f"no feature file has a column {named!r}",
            f"name one of {', '.join(map(repr, known))}" if known else "leave it out",
        )
    return found


def column_names(path: Path) -> list[str]:
    """Columns or arrays of a feature file that may hold ids; none of a ``.npy``.

    Example:
        >>> column_names(Path("image_feat.npy"))
        []
    """
    suffix = path.suffix.lower()
    if path.is_file() and suffix == ".parquet":
        return list(read_schema(path).names)
    if path.is_file() and suffix in SEPARATORS:
        return list(read_text_numbers(path).schema.names)
    if path.is_file() and suffix == ".npz":
        return npz_names(path)
    if path.is_file() and suffix == ".safetensors":
        with open_safetensors(path) as file:
            return list(file.keys())
    return []


def _most_items(candidates: Mapping[str, np.ndarray], items: np.ndarray) -> str | None:
    known = {
        n: int((match_ids(items, own) >= 0).sum()) for n, own in candidates.items()
    }
    best = max(known, key=lambda name: known[name], default=None)
    return best if best is not None and known[best] else None


def _candidates(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    suffix, found = path.suffix.lower(), {}
    if suffix in SEPARATORS:
        return _of_text(path)
    for name in names:
        try:
            if suffix == ".parquet":
                found[name] = _of_parquet(path, name)
            elif suffix == ".npz":
                found[name] = as_ids(read_npz(path, [name])[name])
            else:
                with open_safetensors(path) as file:
                    if len(file.get_slice(name).get_shape()) == 1:
                        found[name] = as_ids(file.get_tensor(name))
        except ValueError:  # floats, tables, dates: no ids
            continue
    return found


def _of_text(path: Path) -> dict[str, np.ndarray]:
    columns, found = read_text_numbers(path), {}
    for field in columns.schema:
        is_id = pa.types.is_integer(field.type) and LIKE_AN_ID.search(field.name)
        if is_text(field.type) or is_id:
            with suppress(UserError):  # an empty id, for instance
                ids = parse_ids(columns.texts[field.name], "item", path, 2)
                found[field.name] = ids.ids
    return found


def _of_parquet(path: Path, name: str) -> np.ndarray:
    kind = read_schema(path).field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_id = pa.types.is_integer(kind) and LIKE_AN_ID.search(name)
    if not (is_text(kind) or is_id):
        raise ValueError(f"{kind} are no ids")
    return as_ids(read_columns(path, [name])[name].to_numpy())
