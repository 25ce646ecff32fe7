"""``mmgraph export``: a system's vectors for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt


def export(
    run: Annotated[Path, typer.Argument(help="A folder that mmgraph train wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make.")],
    formats: Annotated[
        str,
        typer.Option("--formats", help="Of parquet,npy,safetensors,faiss,hnsw."),
    ] = "parquet",
    k: Annotated[int, typer.Option("--k", help="Items per user to compare.")] = 20,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier export.")
    ] = False,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write a vector per user and per item, with their ids, and check the rankings.

    What is written is read back: its inner products must rank as the system does; of
    an approximate index (hnsw) the share of the best items that it finds is said. Where
    a score is no inner product (PAMD) nothing can be compared. Example:
    mmgraph export runs/freedom --out vectors --formats parquet,hnsw
    """
    opt.set_up(seed, device, threads, quiet)
    opt.check_range("k", k, 1, opt.MOST_ITEMS)
    from mmgraph.serving.export import export_run

    names = list(dict.fromkeys(formats.split(",")))
    about = export_run(run, out, names, k=k, force=force, data=data, device=device)
    if as_json:
        opt.emit_json({"out": str(out)} | about)
        return
    typer.echo(
        f"{about['users']} users and {about['items']} items of {about['system']}, "
        f"{about['dimension']} numbers each, in {out}"
    )
    if not about["score_is_inner_product"]:
        typer.echo("a score is no inner product here, so the files were not compared")
        return
    checked = about["checked"]
    for name, result in about["formats"].items():
        typer.echo(
            f"{name}: {result['found']:.2%} of the best {checked['k']} items "
            f"of {checked['users']} users"
        )
