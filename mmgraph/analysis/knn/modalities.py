"""Feature files and the graphs that they belong to."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np

from mmgraph.data import GraphFile
from mmgraph.data.formats.layout import modality_of
from mmgraph.errors import UserError
from mmgraph.knn.digest import feature_digest

_ROWS = 65_536


#: One file, or those that a graph has grown from, in their order.
Files = Path | Sequence[Path]
F = TypeVar("F", bound=Files)


def files_by_graph(paths: Iterable[Path], file: GraphFile) -> dict[str, list[Path]]:
    """Feature files by the graph that each belongs to, as its record or its name says.

    A graph that has grown is of several files, which are put in the order of its
    record.

    Args:
        paths: The files; they may have moved since.
        file: The graphs.

    Raises:
        UserError: If a graph is of fewer files than are given for it.

    Example:
        >>> from mmgraph.data import ModalityGraph
        >>> facts = {"features": ["old/visual.npy", "new.npy"]}
        >>> file = GraphFile(2, None, {"visual": ModalityGraph(*3 * [...], facts)})
        >>> files_by_graph([Path("new.npy"), Path("visual.npy")], file)
        {'visual': [PosixPath('visual.npy'), PosixPath('new.npy')]}
    """
    groups: dict[str, list[tuple[int, Path]]] = {}
    for path in paths:
        name, position = _place_in_record(path, file)
        groups.setdefault(name, []).append((position, path))
    for name, group in groups.items():
        graph = file.graphs.get(name)
        num_files = 1 if graph is None else len(graph.facts["features"])
        if len(group) > max(1, num_files):
            raise UserError(
                f"{group[0][1]} and this file are both {name!r}",
                "name the feature files as the ones the graph was built from",
                path=group[-1][1],
            )
        group.sort(key=itemgetter(0))
    return {name: [path for _, path in group] for name, group in groups.items()}


def recorded_files(file: GraphFile) -> list[Path]:
    """The feature files that graphs were built from, by their record.

    Args:
        file: The graphs.

    Example:
        >>> from mmgraph.data import ModalityGraph
        >>> facts = {"features": ["old/visual.npy", "new.npy"]}
        >>> file = GraphFile(2, None, {"visual": ModalityGraph(*3 * [...], facts)})
        >>> recorded_files(file)
        [PosixPath('old/visual.npy'), PosixPath('new.npy')]
    """
    graphs = file.graphs.values()
    return [Path(path) for graph in graphs for path in graph.facts["features"]]


def _place_in_record(path: Path, file: GraphFile) -> tuple[str, int]:
    """The graph of a file, and the file's place in its record: by path, then by name.

    A file of no record comes behind the others.
    """
    for of in (Path.absolute, attrgetter("name")):
        for name, graph in file.graphs.items():
            recorded = [of(Path(each)) for each in graph.facts["features"]]
            if of(path) in recorded:
                return name, recorded.index(of(path))
    return modality_of(path), sys.maxsize


def as_paths(files: Files) -> list[Path]:
    """One file, or several, as a list.

    Example:
        >>> as_paths(Path("a.npy"))
        [PosixPath('a.npy')]
    """
    return [files] if isinstance(files, Path) else list(files)


def match_modalities(
    files: Mapping[str, F],
    file: GraphFile,
    label: str | Path,
    *,
    all_of_them: bool = False,
) -> dict[str, F]:
    """Feature files by the graph that each belongs to.

    Args:
        files: Feature file of each modality, or files. Of one modality and one graph
            the names need not agree.
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
                path=as_paths(path)[0],
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
