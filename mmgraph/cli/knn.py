"""``mmgraph knn``: nearest-neighbour graphs of a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch

app = typer.Typer(help="Exact nearest-neighbour graphs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass  # keeps "build" a word of its own while it is the only command


@app.command()
def build(
    features: Annotated[
        list[Path],
        typer.Argument(help=".npy, .npz, .safetensors or .parquet, one per modality."),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="GRAPH", help=".pt, or .npz of one file.")
    ],
    k: Annotated[int, typer.Option("--k", min=1, help="Neighbours per item.")] = 10,
    metric: Annotated[str, typer.Option("--metric", help="cosine|ip|l2")] = "cosine",
    backend: Annotated[
        str, typer.Option("--backend", help="auto|torch|faiss|faiss-gpu")
    ] = "auto",
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the JSON report here.")
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Build the exact kNN graph of each feature file.

    GRAPH.pt holds HeteroData.to_dict(): read it with HeteroData.from_dict(
    torch.load(path, weights_only=True)). GRAPH.npz is a SciPy CSR matrix of
    similarities (row = item, columns = its neighbours): scipy.sparse.load_npz(path).
    A zero row (no feature) gets no edges. Example:
    mmgraph knn build image_feat.npy text_feat.npy --k 10 --out graph.pt
    """
    _check_out(out, features)
    names = _modality_names(features)
    opt.prepare(seed, device, threads, quiet)
    from mmgraph.train.files import write_atomic, write_json

    tables, ids = _read(names)
    num_items = len(next(iter(tables.values())))
    graphs, reports = {}, {}
    for name, path in names.items():
        edge_index, similarity, reports[name] = _build(
            tables[name], path, k=k, metric=metric, backend=backend, device=device
        )
        graphs[name] = (edge_index.cpu(), similarity.cpu())
    if out.suffix == ".npz":
        ((edge_index, similarity),) = graphs.values()
        write_atomic(out, _as_csr(edge_index, similarity, num_items, ids))
    else:
        write_atomic(out, _as_hetero(graphs, num_items, ids, k))

    result: dict[str, Any] = {"graphs": reports}
    if len(reports) == 1:
        (result,) = reports.values()
    if report is not None:
        write_json(report, result)
    if as_json:
        opt.emit_json(result)
        return
    for name, row in reports.items():
        typer.echo(
            f"{name}: {row['num_edges']} edges of {row['num_nodes']} items, "
            f"{row['zero_rows']} without feature, {row['duplicate_groups']} groups of "
            f"equal rows, {row['components']} components, {row['backend']}, "
            f"{row['seconds']:.2f} s, sha256 {row['graph_sha256']}"
        )


def _check_out(out: Path, features: list[Path]) -> None:
    if out.suffix not in (".pt", ".npz"):
        raise UserError(f"cannot write {out.name!r}", "name it .pt or .npz")
    if out.suffix == ".npz" and len(features) > 1:
        raise UserError(f"{out.name!r} holds one graph only", "name it .pt")


def _modality_names(features: list[Path]) -> dict[str, Path]:
    from mmgraph.data.layout import MODALITY_OF_STEM

    names: dict[str, Path] = {}
    for path in features:
        stem = path.stem.removesuffix("_feat")
        name = MODALITY_OF_STEM.get(stem, stem) if stem != path.stem else stem
        if name in names:
            raise UserError(
                f"{names[name]} and this file are both {name!r}",
                "rename one: the name of a file is the name of its modality",
                path=path,
            )
        names[name] = path
    return names


def _read(names: dict[str, Path]) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Every modality over the same items: with ids, over all that any file names."""
    import numpy as np

    from mmgraph.data.features import check_finite, read_features

    tables, ids = {}, {}
    for name, path in names.items():
        tables[name], ids[name] = read_features(path, mmap=True)
        check_finite(tables[name], path)
    known = {name: own.tolist() for name, own in ids.items() if own is not None}
    if len(known) == len(names):
        union = list(dict.fromkeys(i for own in known.values() for i in own))
        for name, own in known.items():
            if own != union:
                tables[name] = _spread(tables[name], own, union)
        return tables, np.array(union)
    first_name, *others = names
    for name in others:
        rows, expected = len(tables[name]), len(tables[first_name])
        if rows != expected:
            raise UserError(
                f"{rows} rows, but the first file has {expected}",
                "give every modality a row per item, zeros where it is missing, or "
                "give every file ids",
                path=names[name],
            )
    if len({tuple(own) for own in known.values()}) > 1:
        raise UserError(
            "some files have ids and they differ, others have none",
            "give every file ids",
            path=names[first_name],
        )
    return tables, next((own for own in ids.values() if own is not None), None)


def _spread(x: np.ndarray, own: list[Any], union: list[Any]) -> np.ndarray:
    """Rows in the order of ``union``; zeros where this modality is missing."""
    import numpy as np

    place = {key: row for row, key in enumerate(union)}
    spread = np.zeros((len(union), x.shape[1]), x.dtype)
    spread[[place[key] for key in own]] = x
    return spread


def _build(
    features: np.ndarray, path: Path, *, k: int, metric: str, backend: str, device: str
) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    import time
    import warnings

    import torch

    from mmgraph.knn import knn_graph
    from mmgraph.knn.distinct import distinct_rows
    from mmgraph.knn.report import feature_digest, graph_digest, num_components
    from mmgraph.knn.search import resolve_backend
    from mmgraph.knn.similarity import row_norms
    from mmgraph.train.device import resolve_device
    from mmgraph.train.memory import peak_memory

    where = resolve_device(device)
    with warnings.catch_warnings():  # memory-mapped, read-only: never written to
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        x = torch.from_numpy(features).to(where)
    start = time.perf_counter()
    try:
        backend = resolve_backend(backend, where)
        edge_index, similarity = knn_graph(x, k, metric=metric, backend=backend)
    except ValueError as error:
        raise UserError(str(error), "see mmgraph knn build --help", path=path) from None
    seconds = time.perf_counter() - start
    is_zero = row_norms(x) == 0
    _, group = distinct_rows(x[~is_zero] if is_zero.any() else x)
    return (
        edge_index,
        similarity,
        {
            "num_nodes": len(x),
            "k": k,
            "num_edges": edge_index.size(1),
            "metric": metric,
            "backend": backend,
            "exact": True,
            "recall": None,
            "zero_rows": int(is_zero.sum()),
            "nan_rows": 0,  # a file that has any is refused
            "duplicate_groups": int((group.bincount() > 1).sum()),
            "components": num_components(edge_index, len(x)),
            "input_sha256": feature_digest(features),
            "graph_sha256": graph_digest(edge_index, similarity),
            "seconds": seconds,
            "peak_memory_bytes": peak_memory(where),
        },
    )


def _as_csr(
    edge_index: torch.Tensor,
    similarity: torch.Tensor,
    num_items: int,
    ids: np.ndarray | None,
) -> bytes:
    import io

    import numpy as np

    length = np.bincount(edge_index[1].numpy(), minlength=num_items)
    arrays = {
        "format": np.array(b"csr"),  # the keys of scipy.sparse.save_npz
        "shape": np.array([num_items, num_items]),
        "indptr": np.concatenate([[0], length.cumsum()]),
        "indices": edge_index[0].numpy(),
        "data": similarity.numpy(),
    }
    if ids is not None:
        arrays["ids"] = np.array(ids.tolist())
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _as_hetero(
    graphs: dict[str, tuple[torch.Tensor, torch.Tensor]],
    num_items: int,
    ids: np.ndarray | None,
    k: int,
) -> bytes:
    import io

    import torch
    from torch_geometric.data import HeteroData

    from mmgraph.schema import ITEM, similar_edge_type

    data = HeteroData()
    data[ITEM].num_nodes = num_items
    if ids is not None:
        data[ITEM].raw_id = ids.tolist()
    for name, (edge_index, similarity) in graphs.items():
        store = data[similar_edge_type(name)]
        store.edge_index, store.edge_sim, store.k = edge_index, similarity, k
    buffer = io.BytesIO()
    torch.save(data.to_dict(), buffer)
    return buffer.getvalue()
