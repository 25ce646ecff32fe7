"""``mmgraph knn verify``: recompute lists by brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

WRONG = 1  # exit code of a graph that is not the one of the features


def verify(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help=".pt or .npz.")],
    features: Annotated[
        list[Path],
        typer.Option("--features", help="Feature files; repeat for more modalities."),
    ],
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Rows drawn per graph; 0 takes all.")
    ] = 200,
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Recompute rows of each graph in float64, pair by pair, and compare bit for bit.

    Of an undirected graph all rows are recomputed. Exit code 0: all rows checked are
    right. 1: some are wrong, the first is named. 2: the files do not fit. Example:
    mmgraph knn verify graph.pt --features image_feat.npy --features text_feat.npy
    """
    from mmgraph.data.feature_tables import as_tensor, modality_names
    from mmgraph.data.graph_features import graph_features
    from mmgraph.data.graph_file import read_graph

    opt.set_up(seed, device, threads, quiet)
    import torch

    from mmgraph.knn.digest import feature_digest
    from mmgraph.knn.verify import wrong_rows

    file = read_graph(graph)
    names = modality_names(features)
    if len(names) == len(file.graphs) == 1:  # one of each: the names need not agree
        names = dict(zip(file.graphs, names.values(), strict=True))
    unknown = [name for name in names if name not in file.graphs]
    if unknown:
        raise UserError(
            f"no graph of {unknown[0]!r} in {graph} (it has {', '.join(file.graphs)})",
            "name the feature file as the one it was built from",
            path=names[unknown[0]],
        )
    result: dict[str, Any] = {}
    for name, path in names.items():
        found, x = file.graphs[name], graph_features([path], file)
        dim = found.facts.get("dim", x.shape[1])  # older graphs do not tell
        if x.shape[1] != dim:
            raise UserError(
                f"{x.shape[1]} dimensions, but the graph of {name!r} is of {dim}",
                "give the features that it was built from",
                path=path,
            )
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(x), generator=generator)[: rows or len(x)]
        undirected = found.facts["symmetrise"] != "none"
        try:
            wrong = wrong_rows(
                found.edge_index,
                found.similarity,
                as_tensor(x),
                found.facts["k"],
                metric=found.facts["metric"],
                rows=drawn,
                nan=found.facts["nan"],
                duplicates=found.facts["duplicates"],
                symmetrised=found.facts["symmetrise"],
            ).tolist()
        except ValueError as error:
            raise UserError(str(error), "repair the features", path=path) from None
        result[name] = {
            "rows_checked": len(x) if undirected else len(drawn),
            "wrong_rows": len(wrong),
            "first_wrong_row": wrong[0] if wrong else None,
            "first_wrong_id": file.ids[wrong[0]] if wrong and file.ids else None,
            "same_features": feature_digest(x) == found.facts["input_sha256"],
        }
    if as_json:
        opt.emit_json({"graphs": result})
    for name, row in result.items() if not as_json else ():
        typer.echo(_line(name, row))
    if any(row["wrong_rows"] for row in result.values()):
        raise typer.Exit(WRONG)


def _line(name: str, row: dict[str, Any]) -> str:
    other = "" if row["same_features"] else "; it was built from other features"
    if not row["wrong_rows"]:
        return f"{name}: {row['rows_checked']} rows checked, all right{other}"
    item = row["first_wrong_id"]
    called = "" if item is None else f" (item {item})"
    return (
        f"{name}: {row['rows_checked']} rows checked, {row['wrong_rows']} wrong, the "
        f"first is row {row['first_wrong_row']}{called}{other}"
    )
