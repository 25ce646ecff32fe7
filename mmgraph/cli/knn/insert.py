"""``mmgraph knn insert``: new items into a graph, equal to building it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from mmgraph.data.graph_file import GraphFile, ModalityGraph


def insert(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help=".pt or .npz.")],
    features: Annotated[
        list[Path],
        typer.Option(
            "--features", metavar="NEW", help="Rows of the new items, per modality."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="GRAPH")],
    base: Annotated[
        list[Path] | None,
        typer.Option(
            "--base",
            metavar="OLD",
            help="Features the graph was built from, if they moved.",
        ),
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Add the items of NEW after those of GRAPH, for one product of new with all rows.

    The result has the hash of a graph built from all rows at once. GRAPH knows which
    files it was built from, and they must still hold the same values. NEW files are
    named as those were. Example:
    mmgraph knn insert graph.pt --features new/visual.npy --out graph.pt
    """
    from mmgraph.data.feature_tables import read_tables
    from mmgraph.data.graph_features import graph_features
    from mmgraph.data.graph_file import GraphFile, check_out, read_graph, write_graph

    opt.set_up(seed, device, threads, quiet)
    file = read_graph(graph)
    check_out(out, len(file.graphs))
    new_names = _per_modality(features, file, graph)
    old_names = _per_modality(base, file, graph) if base else {}
    new = read_tables(
        new_names,
        refuse_nan=any(
            found.facts["nan"] == "refuse" for found in file.graphs.values()
        ),
    )
    ids = _all_ids(file, new.ids, next(iter(new_names.values())))
    num_new = len(next(iter(new.tables.values())))
    grown = GraphFile(file.num_items + num_new, ids, {})
    result: dict[str, Any] = {}
    for name, found in file.graphs.items():
        recorded = [Path(path) for path in found.facts["features"]]
        paths = [old_names[name]] if name in old_names else recorded
        for path in paths:
            if not path.is_file():
                raise UserError(
                    f"{graph} was built from this file, which is not there",
                    "name the features it was built from with --base",
                    path=path,
                )
        grown.graphs[name], result[name] = _grow(
            found,
            graph_features(paths, file),
            new.tables[name],
            [*paths, new_names[name]],
        )
    write_graph(out, grown)
    if as_json:
        opt.emit_json({"graphs": result})
        return
    for name, row in result.items():
        typer.echo(
            f"{name}: {row['num_new']} new of {row['num_nodes']} items, "
            f"{row['num_edges']} edges, {row['seconds']:.2f} s, "
            f"sha256 {row['graph_sha256']}"
        )


def _per_modality(paths: list[Path], file: GraphFile, graph: Path) -> dict[str, Path]:
    from mmgraph.data.feature_tables import modality_names

    names = modality_names(paths)
    if len(names) == len(file.graphs) == 1:  # one of each: the names need not agree
        return dict(zip(file.graphs, names.values(), strict=True))
    if set(names) != set(file.graphs):
        raise UserError(
            f"{graph} has graphs of {', '.join(file.graphs)}, the files are of "
            f"{', '.join(names)}",
            "give one file per modality, named as the one it was built from",
        )
    return names


def _all_ids(file: GraphFile, new: list[Any] | None, path: Path) -> list[Any] | None:
    if (file.ids is None) != (new is None):
        has, lacks = ("graph", "file") if new is None else ("file", "graph")
        raise UserError(
            f"the {has} has ids, the {lacks} has none",
            "give both ids, or neither",
            path=path,
        )
    if file.ids is None or new is None:
        return None
    twice = sorted(set(file.ids) & set(new), key=str)
    if twice:
        raise UserError(
            f"item {twice[0]!r} is in the graph already",
            "leave it out, or build the graph again if its features changed",
            path=path,
        )
    if {type(key) for key in file.ids} != {type(key) for key in new}:
        raise UserError(
            "the ids are not of the graph's kind, integers or strings",
            "write them as the graph's are",
            path=path,
        )
    return [*file.ids, *new]


def _grow(
    found: ModalityGraph, old: np.ndarray, new: np.ndarray, paths: list[Path]
) -> tuple[ModalityGraph, dict[str, Any]]:
    import time

    import numpy as np
    import torch

    from mmgraph.data.graph_file import ModalityGraph
    from mmgraph.knn import edge_weights
    from mmgraph.knn import insert as insert_rows
    from mmgraph.knn.digest import feature_digest, graph_digest

    facts = found.facts
    if feature_digest(old) != facts["input_sha256"]:
        raise UserError(
            "not the values that the graph was built from",
            "restore them, or build the graph again",
            path=paths[0],
        )
    if not facts["exact"]:
        raise UserError(
            "an approximate graph cannot be extended exactly",
            "build it anew with the new rows",
        )
    if facts["symmetrise"] != "none" or facts["duplicates"] != "keep":
        raise UserError(
            "items can be inserted into lists only, with --symmetrise none and "
            "--duplicates keep",
            "build the graph again",
        )
    if old.shape[1] != new.shape[1]:
        raise UserError(
            f"{new.shape[1]} dimensions, but the graph's features have {old.shape[1]}",
            "give features of one encoder",
            path=paths[-1],
        )
    x = torch.from_numpy(np.concatenate([old, new]))
    digest = feature_digest(x.numpy())
    x[~x.isfinite().all(1)] = 0  # refused when read, unless such rows are isolated
    start = time.perf_counter()
    try:
        edge_index, similarity = insert_rows(
            found.edge_index,
            found.similarity,
            x,
            facts["k"],
            num_new=len(new),
            metric=facts["metric"],
        )
    except ValueError as error:
        raise UserError(str(error), "build the graph again") from None
    seconds = time.perf_counter() - start
    weight = edge_weights(edge_index, similarity, len(x), facts["weights"])
    facts = {
        **facts,
        "features": [str(path) for path in paths],
        "input_sha256": digest,
        "graph_sha256": graph_digest(edge_index, similarity),
    }
    return ModalityGraph(edge_index, similarity, weight, facts), {
        "num_nodes": len(x),
        "num_new": len(new),
        "num_edges": edge_index.size(1),
        "input_sha256": digest,
        "graph_sha256": facts["graph_sha256"],
        "seconds": seconds,
    }
