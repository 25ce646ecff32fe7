"""Blocks from one or many folders to one graph."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.checksum import file_digest
from mmgraph.errors import UserError
from mmgraph.files import write_json
from mmgraph.folders import new_folder
from mmgraph.knn.jobs.work_folder import WorkFolder

EDGES, SIMILARITY = "edge_index.npy", "similarity.npy"
_NAMED = 10  # missing blocks named in the error


def merge_shards(
    folders: Sequence[str | Path], out: str | Path, **record: Any
) -> dict[str, Any]:
    """Write the graph of all blocks, a block in memory at a time.

    Args:
        folders: Work folders of :func:`mmgraph.knn.build_blocks`; together they hold
            every block.
        out: A new folder: ``edge_index.npy`` int64 ``[2, E]``, ``similarity.npy``
            float32 ``[E]``, both in the order of :func:`mmgraph.knn.knn_graph` and
            fit for ``numpy.load(..., mmap_mode="r")``, and ``graph.json``.
        **record: What else ``graph.json`` is to say.

    Returns:
        What ``graph.json`` holds beside ``record`` and the SHA-256 of the two files:
        ``num_nodes``, ``num_edges``, ``k``, ``metric``, ``include_self``, ``nan``,
        ``duplicates``, the numbers of ``zero_rows``, ``nan_rows`` and
        ``collapsed_rows``, ``input_sha256`` and ``graph_sha256``, the
        :func:`mmgraph.knn.digest.graph_digest`.

    Raises:
        UserError: Blocks are missing, or folders belong to different builds; ``out``
            exists or cannot be written.

    Example:
        >>> import tempfile
        >>> from mmgraph.knn.blocks import build_blocks
        >>> folder = Path(tempfile.mkdtemp())
        >>> work = build_blocks(torch.eye(3), 2, folder / "work")
        >>> merge_shards([work.path], folder / "graph")["num_edges"]
        6
        >>> np.load(folder / "graph" / "edge_index.npy")[0]
        array([1, 2, 0, 2, 0, 1])
    """
    blocks = _blocks(folders)
    with new_folder(Path(out)) as folder:
        result = _write(blocks, folder)
        files = {name: file_digest(folder / name) for name in (EDGES, SIMILARITY)}
        write_json(folder / "graph.json", {**result, **record, "files": files})
    return result


def read_shards(folders: Sequence[str | Path]) -> tuple[Tensor, Tensor]:
    """The graph of all blocks in memory, as :func:`mmgraph.knn.knn_graph` returns it.

    Args:
        folders: As for :func:`merge_shards`.

    Returns:
        ``edge_index`` int64 and ``similarity`` float32.

    Raises:
        UserError: As :func:`merge_shards`.

    Shapes:
        edge_index: ``[2, E]``; similarity: ``[E]``.
    """
    edges, values = [torch.zeros(2, 0, dtype=torch.long)], [torch.zeros(0)]
    for centre, neighbour, similarity in _read(_blocks(folders)):
        edges.append(_edges(centre, neighbour))
        values.append(similarity.flatten())
    return torch.cat(edges, 1), torch.cat(values)


def _blocks(folders: Sequence[str | Path]) -> list[WorkFolder]:
    """The folder of every block, by its number."""
    if not folders:
        raise ValueError("folders must name at least one work folder (got none)")
    works = [WorkFolder(folder) for folder in folders]
    holder: dict[int, WorkFolder] = {}
    for work in works:
        work.check(works[0].manifest)
        for number in set(range(work.num_blocks)).difference(work.missing()):
            holder.setdefault(number, work)
    total = works[0].num_blocks
    missing = [number for number in range(total) if number not in holder]
    if missing:
        named = ", ".join(map(str, missing[:_NAMED]))
        named += ", ..." if len(missing) > _NAMED else ""
        raise UserError(
            f"{len(missing)} of {total} blocks are missing: {named}",
            "finish the shards that make them, or name their folders too",
            path=works[0].path,
        )
    return [holder[number] for number in range(total)]


def _read(blocks: list[WorkFolder]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    for number, work in enumerate(blocks):
        yield work.read_block(number)


def _edges(centre: Tensor, neighbour: Tensor) -> Tensor:
    return torch.stack(
        [neighbour.flatten(), centre.repeat_interleave(neighbour.size(1))]
    )


def _write(blocks: list[WorkFolder], folder: Path) -> dict[str, Any]:
    """Three passes in the order of the digest: neighbours, centres, similarities."""
    num_edges = sum(neighbour.numel() for _, neighbour, _ in _read(blocks))
    digest = hashlib.sha256()
    with open(folder / EDGES, "wb") as file:
        _write_header(file, (2, num_edges), "<i8")
        for row in (0, 1):
            for centre, neighbour, _ in _read(blocks):
                edges = _edges(centre, neighbour)[row].numpy().astype("<i8")
                digest.update(edges.data)
                file.write(edges.data)
    with open(folder / SIMILARITY, "wb") as file:
        _write_header(file, (num_edges,), "<f4")
        for _, _, similarity in _read(blocks):
            values = similarity.flatten().numpy().astype("<f4")
            digest.update(values.data)
            file.write(values.data)
    manifest = blocks[0].manifest
    return {
        "num_nodes": manifest["input"]["rows"],
        "num_edges": num_edges,
        **manifest["options"],
        **manifest.get("isolated", {}),
        "input_sha256": manifest["input"]["sha256"],
        "graph_sha256": digest.hexdigest(),
    }


def _write_header(file: Any, shape: tuple[int, ...], dtype: str) -> None:
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
