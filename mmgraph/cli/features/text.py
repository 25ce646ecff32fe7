"""``mmgraph features text``: a vector for each title."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mmgraph.cli import options as opt
from mmgraph.cli.arguments import table_form as form
from mmgraph.cli.features import arguments as arg

if TYPE_CHECKING:
    from mmgraph.encode.encoder import Encoder


def text(
    table: arg.Table,
    out: arg.Out,
    model: arg.Model = None,
    column: arg.TitleColumn = None,
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
    """Turn a column of titles into features, by a model of sentence-transformers.

    The model is a folder, or a name of the hub, by default all-MiniLM-L6-v2; its
    weights must be safetensors. Rows without a title are left out and listed beside
    the features. A run that was stopped goes on with --resume. Example:
    mmgraph features text items.csv --column title --out textual.npz
    """
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.encode.texts import TEXT_MODEL

    name = TEXT_MODEL if model is None else model
    arg.write_and_report(
        table,
        "title",
        form.table_form(sep, encoding, id=item_col, title=column),
        partial(_encoder, arg.place_of_model(name), batch_size),
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


def _encoder(model: str, batch_size: int, device: str) -> Encoder:
    """Ray copies it to other machines, so it is no function inside another."""
    from mmgraph.encode.texts import text_encoder

    return text_encoder(model, batch_size=batch_size, device=device)
