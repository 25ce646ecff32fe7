"""``mmgraph features image``: a vector for each picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.arguments import table_form as form
from mmgraph.cli.features import arguments as arg

if TYPE_CHECKING:
    from mmgraph.encode.encoder import Encoder


def image(
    table: arg.Table,
    out: arg.Out,
    model: arg.Model = None,
    column: arg.PictureColumn = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", metavar="DIR", help="Of the paths; by default the table's folder."
        ),
    ] = None,
    item_col: form.ItemColumn = None,
    sep: form.Separator = None,
    encoding: form.Encoding = "utf-8",
    duplicates: form.Duplicates = "error",
    dtype: arg.Dtype = "float32",
    batch_size: arg.BatchSize = 32,
    resume: arg.Resume = False,
    shard: arg.Shard = None,
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Turn a column of paths to pictures into features, by a model of timm.

    The model is a folder, or a name of the hub, by default resnet50.a1_in1k; its
    weights must be safetensors. Pictures that are missing, damaged or too large are
    left out and listed beside the features. A run that was stopped goes on with
    --resume. Example:
    mmgraph features image items.csv --column image --out visual.npz
    """
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.encode.pictures import PICTURE_MODEL

    name = PICTURE_MODEL if model is None else model
    folder = table.parent if root is None else root
    arg.write_and_report(
        table,
        "picture",
        form.table_form(sep, encoding, id=item_col, picture=column),
        partial(_encoder, arg.place_of_model(name), str(folder.absolute()), batch_size),
        out,
        duplicates=duplicates,
        dtype=dtype,
        resume=resume,
        shard=shard,
        ray=ray,
        gpus=gpus,
        device=device,
        threads=threads,
        as_json=as_json,
        quiet=quiet,
    )


def _encoder(model: str, root: str, batch_size: int, device: str) -> Encoder:
    """Ray copies it to other machines, so it is no function inside another."""
    from mmgraph.encode.pictures import picture_encoder

    return picture_encoder(model, root=root, batch_size=batch_size, device=device)
