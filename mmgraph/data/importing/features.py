"""Feature files of an import, and which of their rows are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mmgraph.data.catalogue import broken_rows, in_c_order, refuse_broken
from mmgraph.data.formats.features import (
    FeatureMatrix,
    read_feature_matrix,
)
from mmgraph.data.formats.vector_folder import read_vector_folder
from mmgraph.data.importing.cleaning import LeftRows


def read_import_features(
    path: Path, id_column: str | None = None, *, drop: bool = False
) -> tuple[FeatureMatrix, list[LeftRows]]:
    """Features of one modality whose rows are finite, of one item each.

    Args:
        path: The file, or a folder with a ``.npy`` of each item.
        id_column: Column of the ids, where it has none of the usual names.
        drop: Leave rows out that are not finite, or whose item had one before; then
            its item counts as missing.

    Returns:
        The features and what was left out, with rows counted from 0.

    Raises:
        UserError: If a row is not finite and stays, or the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "visual.npz"
        >>> np.savez(path, features=[[1.0], [np.nan], [3.0]], ids=["a", "b", "a"])
        >>> matrix, left = read_import_features(path, drop=True)
        >>> matrix.ids.tolist(), [(each.kind, each.first_row) for each in left]
        (['a'], [('NaN or infinity', 1), ('item that has a row before', 2)])
    """
    if path.is_dir():
        matrix = read_vector_folder(path)
    else:
        matrix = read_feature_matrix(path, dtype=None, id_column=id_column)
    matrix = in_c_order(matrix)
    values = matrix.values
    if not drop:
        refuse_broken(matrix, path)
        return matrix, []
    broken = broken_rows(values)
    ids = np.arange(len(values)) if matrix.ids is None else matrix.ids
    again = np.zeros(len(ids), bool)
    again[~broken] = pd.Series(ids[~broken]).duplicated().to_numpy()
    reasons = (("NaN or infinity", broken), ("item that has a row before", again))
    left = [
        LeftRows(kind, int(rows.sum()), int(rows.argmax()), path=path, is_bad=True)
        for kind, rows in reasons
        if rows.any()
    ]
    if left:
        keep = ~(broken | again)
        matrix = matrix._replace(values=values[keep], ids=ids[keep])
    return matrix, left
