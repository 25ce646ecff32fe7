"""Graphs made in blocks: their record, so that they are read as any other graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmgraph.analysis.knn.description import knn_report
from mmgraph.data.formats.layout import modality_of
from mmgraph.errors import UserError
from mmgraph.files import read_json, unwritable, write_json
from mmgraph.knn import merge_shards
from mmgraph.knn.jobs.work_folder import WorkFolder

_SOURCE = "features.json"


def blocks_report(work: WorkFolder, features: Path) -> dict[str, Any]:
    """Record in a work folder which file it is of, and report how far it is.

    Args:
        work: The folder of :func:`mmgraph.knn.build_blocks`.
        features: The file.

    Returns:
        ``blocks``, ``missing``, and the options of the build, in the shape of
        :func:`~mmgraph.analysis.knn.description.knn_report`.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmgraph.knn import build_blocks
        >>> path = Path(tempfile.mkdtemp()) / "visual.npy"
        >>> np.save(path, np.eye(4))
        >>> work = build_blocks(path, 2, path.parent / "work")
        >>> report = blocks_report(work, path)
        >>> list(report["graphs"]), report["blocks"], report["missing"]
        (['visual'], 1, 0)
    """
    source = work.path / _SOURCE
    try:
        write_json(source, {"features": [str(features)]})
    except OSError as error:
        raise unwritable(source, error) from None
    num_nodes = work.manifest["input"]["rows"]
    report = {
        "num_nodes": num_nodes,
        **work.manifest["options"],
        "blocks": work.num_blocks,
        "missing": len(work.missing()),
        "input_sha256": work.manifest["input"]["sha256"],
    }
    return knn_report(num_nodes, {modality_of(features): report})


def join_blocks(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Join blocks as :func:`mmgraph.knn.merge_shards` does, with their record.

    Args:
        folders: Work folders; together they hold every block.
        out: A new folder that :func:`mmgraph.data.read_graph` reads.

    Returns:
        What ``mmgraph knn join --json`` says of the graph.

    Raises:
        UserError: See :func:`mmgraph.knn.merge_shards`.

    Example:
        >>> import tempfile, torch
        >>> from mmgraph.knn import build_blocks
        >>> folder = Path(tempfile.mkdtemp())
        >>> work = build_blocks(torch.eye(3), 2, folder / "work")
        >>> join_blocks([work.path], folder / "graph")["num_edges"]
        6
        >>> from mmgraph.data import read_graph
        >>> read_graph(folder / "graph").graphs["graph"].facts["k"]
        2
    """
    stored = WorkFolder(folders[0]).manifest["input"]
    kind = "float64" if stored["dtype"][:5] != "float" else stored["dtype"]
    record = {"dim": stored["columns"], "dtype": kind}
    sources = [folder / _SOURCE for folder in folders if (folder / _SOURCE).is_file()]
    if sources:
        features = _read_source(sources[0])
        record |= {"features": features, "modality": modality_of(Path(features[0]))}
    graph = merge_shards(folders, out, **record) | record
    name = graph.pop("modality", out.resolve().name)
    return knn_report(graph["num_nodes"], {name: graph})


def _read_source(path: Path) -> list[str]:
    """The feature files that a work folder is of."""
    fix = "run mmgraph knn blocks again"
    features: Any = read_json(path, fix=fix).get("features")
    is_list = isinstance(features, list) and len(features) > 0
    if not (is_list and all(isinstance(name, str) for name in features)):
        raise UserError("names no feature files", fix, path=path)
    return list(features)
