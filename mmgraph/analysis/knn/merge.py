"""Graphs of several files as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmgraph.data import GraphFile, read_graph
from mmgraph.errors import UserError


def merge_graphs(paths: Sequence[Path]) -> GraphFile:
    """Read graphs of several modalities over the same items as one file.

    Args:
        paths: One or more, see :func:`mmgraph.data.read_graph`.

    Raises:
        UserError: If their items differ, or two are of one modality.

    Example:
        >>> import tempfile
        >>> from mmgraph.data import write_graph
        >>> path = Path(tempfile.mkdtemp()) / "graph.pt"
        >>> write_graph(path, GraphFile(2, None, {}))
        >>> merge_graphs([path, path]).num_items
        2
    """
    first, *others = paths
    merged = read_graph(first)
    for path in others:
        file = read_graph(path)
        if file.num_items != merged.num_items or file.ids != merged.ids:
            raise UserError(
                f"the items are not those of {first}",
                "build the graphs from files with the same items in the same order, or "
                "all in one mmgraph knn build",
                path=path,
            )
        twice = sorted(set(file.graphs) & set(merged.graphs))
        if twice:
            raise UserError(
                f"a second graph of {twice[0]!r}", "leave one out", path=path
            )
        merged.graphs.update(file.graphs)
    return merged
