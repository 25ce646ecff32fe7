"""A folder with a vector of each item, as Ducho writes and Elliot reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.formats.columns import parse_ids
from mmgraph.data.formats.features import FeatureMatrix
from mmgraph.data.formats.layout import visible_files
from mmgraph.data.formats.npy import read_npy
from mmgraph.errors import UserError


def read_vector_folder(folder: Path) -> FeatureMatrix:
    """Read ``<item id>.npy`` of every item: a vector each, also ``[1, D]``.

    Args:
        folder: The folder.

    Returns:
        Features ``[N, D]`` as stored, the ids from the names, and the dtype's name.

    Raises:
        UserError: If a file is damaged or no vector, or two differ in length or dtype.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, value in (("tea", 1.0), ("ale", 2.0)):
        ...     np.save(folder / f"{name}.npy", np.full((1, 3), value))
        >>> matrix = read_vector_folder(folder)
        >>> matrix.ids.tolist(), matrix.values.tolist()
        (['ale', 'tea'], [[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]])
    """
    paths = [path for path in visible_files(folder) if path.suffix.lower() == ".npy"]
    if not paths:
        raise UserError(
            "no .npy file", "give a folder with <item id>.npy of each item", path=folder
        )
    first = _vector(paths[0])
    size = sum(path.stat().st_size for path in paths)
    check_budget(folder, first.nbytes * len(paths), size=size)
    values = np.empty((len(paths), len(first)), first.dtype)
    for row, path in enumerate(paths):
        vector = _vector(path)
        if len(vector) != len(first):
            raise UserError(
                f"{len(vector)} dimensions, but {paths[0].name} has {len(first)}",
                "give vectors of one encoder",
                path=path,
            )
        if not np.can_cast(vector.dtype, first.dtype, "equiv"):  # it would be cut to it
            raise UserError(
                f"the vector is {vector.dtype}, but {paths[0].name} is {first.dtype}",
                "save all of them as float32",
                path=path,
            )
        values[row] = vector
    names = parse_ids(pa.array([path.stem for path in paths]), "item", folder, 0)
    return FeatureMatrix(values, names.ids, first.dtype.name)


def _vector(path: Path) -> np.ndarray:
    array = read_npy(path)
    if array.size == 0 or array.size != max(array.shape, default=0):
        raise UserError(
            f"an array of shape {list(array.shape)}, no vector",
            "save one vector per file",
            path=path,
        )
    if array.dtype.kind not in "fiub":
        raise UserError(
            f"the vector is {array.dtype}, not numbers",
            "save it as float32",
            path=path,
        )
    return np.asarray(array).reshape(-1)
