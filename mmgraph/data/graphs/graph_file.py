"""Graphs of one catalogue as a file: PyG, SciPy or an edge list; or a folder."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch_geometric.data import HeteroData

from mmgraph.checksum import (
    CHECKSUM,
    PLACEHOLDER,
    add_checksum,
    add_zip_checksum,
    file_digest,
    file_has_checksum,
)
from mmgraph.data.formats.budget import check_zip
from mmgraph.data.formats.input_file import check_input_file
from mmgraph.data.formats.npy import as_tensor, read_npy, read_npz
from mmgraph.data.graphs.graph_check import check_graphs
from mmgraph.data.graphs.item_graphs import GraphFacts, GraphFile, ModalityGraph
from mmgraph.errors import UserError
from mmgraph.files import read_json, unwritable, write_atomic
from mmgraph.folders import check_output_file
from mmgraph.schema import ITEM, similar_edge_type

__all__ = [
    "SUFFIXES",
    "GraphFacts",
    "GraphFile",
    "ModalityGraph",
    "check_out",
    "read_graph",
    "write_graph",
]

SUFFIXES = (".pt", ".npz", ".parquet")
#: What is true of every graph that is joined from blocks.
_OF_BLOCKS = {
    "nan": "refuse",
    "duplicates": "keep",
    "symmetrise": "none",
    "weights": "similarity",
    "exact": True,
    "features": [],
}
#: How the object of a ``.pt`` file names what is called, and what a graph needs.
_CALL = re.compile(rb"c([a-zA-Z_][\w.]{3,}\n[\w.]{3,})\n")
_PLAIN_CALL = re.compile(
    rb"torch\n[A-Za-z0-9]+Storage|torch\._utils\n_rebuild_tensor_v2"
    rb"|collections\nOrderedDict"
)
_ARRAYS = ("edge_index.npy", "similarity.npy")
#: Tables of interactions, beside which each feature file is a modality.
_AGAIN = "make it with mmgraph knn build"


def check_out(out: Path, num_graphs: int, inputs: Iterable[Path] = ()) -> None:
    """Refuse a name that cannot be written or would do harm, before any work is done.

    A data folder takes each of its ``.npz`` and ``.parquet`` files for the features of
    a modality, so only ``.pt`` is written beside a table of interactions.

    Args:
        out: The name.
        num_graphs: Number of graphs.
        inputs: Files that are read, which would be lost.

    Raises:
        UserError: If it is refused.

    Example:
        >>> check_out(Path("graph.pt"), num_graphs=2)
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"cannot write {out.name!r}", "name it .pt, .npz or .parquet")
    if out.suffix == ".npz" and num_graphs > 1:
        raise UserError(f"{out.name!r} holds one graph only", "name it .pt")
    if out.is_dir():
        raise UserError("is a folder", "choose another --out", path=out)
    check_output_file(out, inputs=inputs)


def write_graph(path: str | Path, file: GraphFile) -> None:
    """Write a graph file; it is whole or not there.

    The suffix says how: ``.pt``, ``HeteroData.to_dict()``, read by
    ``HeteroData.from_dict(torch.load(path, weights_only=True))``; ``.npz``, one graph
    as a SciPy CSR matrix of the weights, row = item; ``.parquet``, a list of edges by
    the original ids.

    Args:
        path: The file.
        file: The graphs.

    Raises:
        UserError: If the suffix is another, or a ``.npz`` is to hold several graphs.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "graph.pt"
        >>> write_graph(path, GraphFile(2, ["a", "b"], {}))
        >>> read_graph(path).ids
        ['a', 'b']
    """
    path = Path(path)
    check_out(path, len(file.graphs))
    writer = {".pt": _hetero, ".npz": _csr, ".parquet": _edge_list}[path.suffix]
    content = writer(file)
    try:
        write_atomic(path, content)
    except OSError as error:
        raise unwritable(path, error) from None


def read_graph(path: str | Path) -> GraphFile:
    """Read a graph, whatever made it.

    Args:
        path: A ``.pt`` or ``.npz`` that :func:`write_graph` wrote, or a folder that
            :func:`mmgraph.knn.merge_shards` or ``mmgraph knn join`` made. The arrays of
            a folder stay on disk, memory-mapped; its modality is the one that ``join``
            recorded, else it is called as the folder.

    Raises:
        UserError: If the file is missing, damaged, or no graph with its record.

    Example:
        >>> read_graph("edges.parquet")
        Traceback (most recent call last):
        mmgraph.errors.UserError: edges.parquet: not a graph that can be read back - \
name a .pt, a .npz or a folder of mmgraph knn join
    """
    path = Path(path)
    if path.is_dir():
        file = _read_folder(path)
        size = (path / _ARRAYS[0]).stat().st_size
    elif path.suffix not in (".pt", ".npz"):
        raise UserError(
            "not a graph that can be read back",
            "name a .pt, a .npz or a folder of mmgraph knn join",
            path=path,
        )
    else:
        check_input_file(path)
        check_zip(path)
        file_has_checksum(path, fix=_AGAIN)
        file = _read_hetero(path) if path.suffix == ".pt" else _read_csr(path)
        size = path.stat().st_size
    check_graphs(file, path, _AGAIN, size=size)
    return file


def _hetero(file: GraphFile) -> bytes:
    data = HeteroData()
    data[ITEM].num_nodes = file.num_items
    if file.ids is not None:
        data[ITEM].raw_id = file.ids
    for name, graph in file.graphs.items():
        store = data[similar_edge_type(name)]
        store.edge_index = graph.edge_index
        store.edge_weight, store.edge_sim = graph.weight, graph.similarity
        store.k, store.knn = graph.facts["k"], graph.facts
    buffer = io.BytesIO()
    torch.save(data.to_dict(), buffer)
    return add_zip_checksum(buffer.getvalue())


def _read_hetero(path: Path) -> GraphFile:
    try:
        _check_calls(path)
        with warnings.catch_warnings():  # of tensors that are refused below
            warnings.simplefilter("ignore")
            stores = torch.load(path, map_location="cpu", weights_only=True)
        graphs = {
            key[1].removeprefix("similar_"): ModalityGraph(
                store["edge_index"],
                store["edge_sim"],
                store["edge_weight"],
                store["knn"],
            )
            for key, store in stores.items()
            if isinstance(key, tuple) and key[1].startswith("similar_")
        }
        item = stores[ITEM]
        return GraphFile(item["num_nodes"], item.get("raw_id"), graphs)
    except Exception as error:  # whatever a foreign or damaged file provokes
        raise UserError("not a graph file", _AGAIN, path=path) from error


def _check_calls(path: Path) -> None:
    """Refuse an object that is made of more than plain tensors and containers.

    ``torch.load`` calls what the file names if it is harmless, such as ``bytearray``,
    and with any number: one of 10^10 takes as many bytes.
    """
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.lower().endswith("data.pkl"):  # torch ignores case, too
                for call in _CALL.findall(archive.read(info)):
                    if not _PLAIN_CALL.fullmatch(call):
                        raise ValueError(f"{call!r} is no part of a graph")


def _csr(file: GraphFile) -> bytes:
    ((name, graph),) = file.graphs.items()
    neighbour, centre = graph.edge_index.numpy()
    length = np.bincount(centre, minlength=file.num_items)
    arrays: dict[str, Any] = {
        "format": np.array(b"csr"),  # the keys of scipy.sparse.save_npz
        "shape": np.array([file.num_items, file.num_items]),
        "indptr": np.concatenate([[0], length.cumsum()]),
        "indices": neighbour,
        "data": graph.weight.numpy(),
        "similarity": graph.similarity.numpy(),
        "facts": np.array(json.dumps({"name": name, **graph.facts})),
    }
    if file.ids is not None:
        arrays["ids"] = np.array(file.ids)
        if arrays["ids"].tolist() != file.ids:  # NumPy takes NUL for the end of a word
            raise UserError("ids that end in NUL do not fit into .npz", "name it .pt")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return add_zip_checksum(buffer.getvalue())


def _read_csr(path: Path) -> GraphFile:
    arrays = read_npz(path)
    try:
        facts = json.loads(str(arrays["facts"]))
        edge_index = _edges_of_csr(arrays["indptr"], arrays["indices"])
        num_items = len(arrays["indptr"]) - 1
        if arrays["shape"].tolist() != [num_items, num_items]:
            raise ValueError("no square matrix")
        graph = ModalityGraph(
            edge_index,
            as_tensor(arrays["similarity"]),
            as_tensor(arrays["data"]),
            facts,
        )
        ids = arrays["ids"].tolist() if "ids" in arrays else None
        return GraphFile(num_items, ids, {str(facts.pop("name")): graph})
    except Exception as error:  # whatever a foreign or damaged file provokes
        raise UserError("not a graph file", _AGAIN, path=path) from error


def _edges_of_csr(indptr: np.ndarray, indices: np.ndarray) -> torch.Tensor:
    length = np.diff(indptr)
    # Looked at before memory is taken by them.
    counts = indptr.dtype.kind == indices.dtype.kind == "i" and indptr.ndim == 1
    if not (counts and indptr[0] == 0 and (length >= 0).all()):
        raise ValueError("no rows of edges")
    if indices.shape != (indptr[-1],):
        raise ValueError("rows and edges do not fit")
    centre = np.repeat(np.arange(len(length)), length)
    return torch.from_numpy(np.stack([indices, centre]))


def _read_folder(path: Path) -> GraphFile:
    """Edges and similarities as they lie on disk, and the record beside them."""
    for name in ("graph.json", *_ARRAYS):
        check_input_file(path / name)
    facts: Any = _OF_BLOCKS | read_json(path / "graph.json", fix=_AGAIN)
    _check_files(path, facts.pop("files", {}))
    try:
        edge_index, similarity = (as_tensor(read_npy(path / n)) for n in _ARRAYS)
        num_items = facts.pop("num_nodes")
        name = str(facts.pop("modality", path.resolve().name))
        if facts.pop("num_edges", len(similarity)) != len(similarity):
            raise ValueError("edges and similarities do not fit")
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("not a graph folder", _AGAIN, path=path) from error
    graph = ModalityGraph(edge_index, similarity, similarity, facts)
    return GraphFile(num_items, None, {name: graph})


def _check_files(folder: Path, hashes: Any) -> None:
    """Refuse arrays that are not those of the record; older ones have no hash."""
    if hashes and (not isinstance(hashes, dict) or set(hashes) != set(_ARRAYS)):
        raise UserError("names no files", _AGAIN, path=folder / "graph.json")
    for name in hashes:
        if file_digest(folder / name) != hashes[name]:
            what = "damaged: its content does not agree with graph.json"
            raise UserError(what, _AGAIN, path=folder / name)


def _edge_list(file: GraphFile) -> bytes:
    ids = pa.array(range(file.num_items) if file.ids is None else file.ids)
    parts = []
    for name, graph in file.graphs.items():
        neighbour, centre = graph.edge_index.numpy()
        columns = {
            "centre": ids.take(pa.array(centre)),
            "neighbour": ids.take(pa.array(neighbour)),
            "similarity": graph.similarity.numpy(),
        }
        if graph.facts["weights"] != "similarity":
            columns["weight"] = graph.weight.numpy()
        if len(file.graphs) > 1:
            columns = {"modality": np.full(len(centre), name), **columns}
        parts.append(pa.table(columns))
    buffer = io.BytesIO()
    table = pa.concat_tables(parts)
    pq.write_table(table.replace_schema_metadata({CHECKSUM: PLACEHOLDER}), buffer)
    return add_checksum(buffer.getvalue())
