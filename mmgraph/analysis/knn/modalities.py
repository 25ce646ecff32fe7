"""Feature files and the graphs that they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmgraph.data import GraphFile
from mmgraph.errors import UserError
from mmgraph.knn.digest import feature_digest

_ROWS = 65_536


def match_modalities(
    files: Mapping[str, Path],
    file: GraphFile,
    label: str | Path,
    *,
    all_of_them: bool = False,
) -> dict[str, Path]:
    """Feature files by the graph that each belongs to.

    Args:
        files: Feature file of each modality. Of one file and one graph the names need
            not agree.
        file: The graphs.
        label: Their name in a message.
        all_of_them: Every graph needs a file.

    Raises:
        UserError: If there is no graph of a file, or no file of a graph that needs one.

    Example:
        >>> file = GraphFile(2, None, {"visual": ...})
        >>> match_modalities({"image": Path("image.npy")}, file, "g.pt")
        {'visual': PosixPath('image.npy')}
    """
    known = ", ".join(file.graphs)
    if len(files) == len(file.graphs) == 1:
        return dict(zip(file.graphs, files.values(), strict=True))
    if all_of_them and set(files) != set(file.graphs):
        raise UserError(
            f"{label} has graphs of {known}, the files are of {', '.join(files)}",
            "give one file per modality, named as the one it was built from",
        )
    for name, path in files.items():
        if name not in file.graphs:
            raise UserError(
                f"no graph of {name!r} in {label} (it has {known})",
                "name the feature file as the one it was built from",
                path=path,
            )
    return dict(files)


def matrix_digest(x: np.ndarray) -> str:
    """SHA-256 of the features that a graph was computed from, in their own dtype.

    Of float32 it is :func:`mmgraph.knn.digest.feature_digest`; graphs made in blocks
    may be of another dtype.

    Args:
        x: Features ``[N, D]``, read a block of rows at a time.

    Example:
        >>> x = np.zeros((2, 3), np.float32)
        >>> matrix_digest(x) == feature_digest(x), matrix_digest(x.astype("f8"))[:16]
        (True, 'c12ff0c0f9f3e6ad')
    """
    if x.dtype == np.float32:
        return feature_digest(x)
    digest = hashlib.sha256(np.array(x.shape, dtype="<i8").tobytes())
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        digest.update(rows.astype(rows.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
