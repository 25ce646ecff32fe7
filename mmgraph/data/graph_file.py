"""Graphs of one catalogue as a file: PyG, SciPy or an edge list; or a folder."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.formats.features import check_file
from mmgraph.data.formats.npy import as_tensor, read_npy, read_npz
from mmgraph.errors import UserError
from mmgraph.files import write_atomic
from mmgraph.folders import check_output_file
from mmgraph.schema import ITEM, similar_edge_type

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
_AGAIN = "make it with mmgraph knn build"


class _FactsOfSome(TypedDict, total=False):
    #: Dimension of the features; older graphs do not record it.
    dim: int
    #: Of the features, where it is not float32.
    dtype: str
    include_self: bool


class GraphFacts(_FactsOfSome):
    """The record of a build, by which a graph can be verified and extended."""

    k: int
    metric: str
    nan: str
    duplicates: str
    symmetrise: str
    weights: str
    #: False if the graph is approximate.
    exact: bool
    #: Paths of the files that it was built from.
    features: list[str]
    input_sha256: str
    #: Of the canonical list of edges.
    graph_sha256: str


@dataclass
class ModalityGraph:
    """The graph of one modality.

    Attributes:
        edge_index: int64 ``[2, E]``: neighbour (row 0) and centre (row 1) of each edge.
        similarity: float32 ``[E]``.
        weight: float32 ``[E]``.
        facts: How it was made.
    """

    edge_index: torch.Tensor
    similarity: torch.Tensor
    weight: torch.Tensor
    facts: GraphFacts


@dataclass
class GraphFile:
    """Graphs of one or several modalities over the same items.

    Attributes:
        num_items: Number of items; item = row.
        ids: Their original ids, integers or strings, or None.
        graphs: Modality -> graph.
    """

    num_items: int
    ids: list[Any] | None
    graphs: dict[str, ModalityGraph]


def check_out(out: Path, num_graphs: int) -> None:
    """Refuse a name that cannot be written, before any work is done.

    Example:
        >>> check_out(Path("graph.pt"), num_graphs=2)
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"cannot write {out.name!r}", "name it .pt, .npz or .parquet")
    if out.suffix == ".npz" and num_graphs > 1:
        raise UserError(f"{out.name!r} holds one graph only", "name it .pt")
    if out.is_dir():
        raise UserError("is a folder", "choose another --out", path=out)
    check_output_file(out)


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
    write_atomic(path, writer(file))


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
    elif path.suffix not in (".pt", ".npz"):
        raise UserError(
            "not a graph that can be read back",
            "name a .pt, a .npz or a folder of mmgraph knn join",
            path=path,
        )
    else:
        check_file(path)
        file = _read_hetero(path) if path.suffix == ".pt" else _read_csr(path)
    for name, graph in file.graphs.items():
        required = GraphFacts.__required_keys__
        lacks = [fact for fact in GraphFacts.__annotations__ if fact in required]
        lacks = [fact for fact in lacks if fact not in graph.facts]
        if lacks:
            raise UserError(f"no record of {lacks[0]!r}", _AGAIN, path=path)
        edges = graph.edge_index
        shapes = {edges.size(1), len(graph.similarity), len(graph.weight)}
        inside = not len(graph.weight) or (
            int(edges.min()) >= 0 and int(edges.max()) < file.num_items
        )
        if len(shapes) > 1 or not inside:
            raise UserError(f"the graph of {name!r} is damaged", _AGAIN, path=path)
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
    return buffer.getvalue()


def _read_hetero(path: Path) -> GraphFile:
    try:
        stores = torch.load(path, weights_only=True)
        graphs = {
            key[1].removeprefix("similar_"): ModalityGraph(
                store["edge_index"],
                store["edge_sim"],
                store["edge_weight"],
                store["knn"].copy(),
            )
            for key, store in stores.items()
            if isinstance(key, tuple) and key[1].startswith("similar_")
        }
        item = stores[ITEM]
        return GraphFile(int(item["num_nodes"]), item.get("raw_id"), graphs)
    except Exception as error:  # whatever a foreign or damaged file provokes
        raise UserError("not a graph file", _AGAIN, path=path) from error


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
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _read_csr(path: Path) -> GraphFile:
    arrays = read_npz(path)
    try:
        facts = json.loads(str(arrays["facts"]))
        length = np.diff(arrays["indptr"])
        centre = np.repeat(np.arange(len(length)), length)
        edge_index = torch.from_numpy(np.stack([arrays["indices"], centre]))
        similarity = torch.from_numpy(arrays["similarity"])
        weight = torch.from_numpy(arrays["data"])
        ids = arrays["ids"].tolist() if "ids" in arrays else None
        name = facts.pop("name")
    except (KeyError, ValueError) as error:
        raise UserError("not a graph file", _AGAIN, path=path) from error
    graph = ModalityGraph(edge_index, similarity, weight, facts)
    return GraphFile(len(length), ids, {name: graph})


def _read_folder(path: Path) -> GraphFile:
    """Edges and similarities as they lie on disk, and the record beside them."""
    record = path / "graph.json"
    check_file(record)
    arrays = []
    for name in ("edge_index.npy", "similarity.npy"):
        check_file(path / name)
        arrays.append(as_tensor(read_npy(path / name)))
    try:
        facts: Any = {**_OF_BLOCKS, **json.loads(record.read_text("utf-8"))}
        num_items = int(facts.pop("num_nodes"))
        name = str(facts.pop("modality", path.resolve().name))
        edge_index, similarity = arrays
        if edge_index.dtype != torch.int64 or edge_index.shape != (2, len(similarity)):
            raise ValueError("edges and similarities do not fit")
        facts.pop("num_edges", None)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError("not a graph folder", _AGAIN, path=path) from error
    graph = ModalityGraph(edge_index, similarity, similarity, facts)
    return GraphFile(num_items, None, {name: graph})


def _edge_list(file: GraphFile) -> bytes:
    ids = np.arange(file.num_items) if file.ids is None else np.array(file.ids)
    parts = []
    for name, graph in file.graphs.items():
        neighbour, centre = graph.edge_index.numpy()
        columns = {
            "centre": ids[centre],
            "neighbour": ids[neighbour],
            "similarity": graph.similarity.numpy(),
        }
        if graph.facts["weights"] != "similarity":
            columns["weight"] = graph.weight.numpy()
        if len(file.graphs) > 1:
            columns = {"modality": np.full(len(centre), name), **columns}
        parts.append(pa.table(columns))
    buffer = io.BytesIO()
    pq.write_table(pa.concat_tables(parts), buffer)
    return buffer.getvalue()
