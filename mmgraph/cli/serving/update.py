"""``mmgraph update``: a trained system for a catalogue that has grown."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt


def update(
    run: Annotated[Path, typer.Argument(help="A folder that mmgraph train wrote.")],
    data: Annotated[str, typer.Option("--data", metavar="DIR", help="The new data.")],
    out: Annotated[Path, typer.Option("--out", help="The run directory to make.")],
    epochs: Annotated[
        int, typer.Option("--epochs", help="Train on for so many; 0: no training.")
    ] = 0,
    split_rule: Annotated[
        str | None,
        typer.Option("--split", help="Rule of the split; that of the run without it."),
    ] = None,
    old_data: Annotated[
        str | None,
        typer.Option("--old-data", metavar="DIR", help="Those of RUN, if they moved."),
    ] = None,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    seed: opt.Seed = 999,
) -> None:
    """Take a trained system over to new data: new items, new users, new interactions.

    Users and items are matched by their ids. Without --epochs nothing is trained: new
    items come in by their features and the item graph, new users and items with
    interactions by their neighbours; OUT is a run directory like any other. Example:
    mmgraph update runs/monday --data shop-tuesday --out runs/tuesday
    """
    opt.set_up(seed, device, threads, quiet)
    opt.check_range("epochs", epochs, 0, 2**31 - 1)
    from mmgraph.cli.progress import training_bar
    from mmgraph.serving.update import update_run

    info = update_run(
        run,
        data,
        out,
        epochs=epochs,
        split=split_rule,
        old_data=old_data,
        device=device,
        threads=threads,
        watch=partial(training_bar, quiet=quiet),
    )
    if as_json:
        opt.emit_json({"run": str(out), **info})
        return
    about = info["updated_from"]
    typer.echo(
        f"{info['spec']} for {info['counts']['users']} users "
        f"({about['new_users']} new, {about['gone_users']} gone) and "
        f"{info['counts']['items']} items ({about['new_items']} new, "
        f"{about['new_cold_items']} new without interactions, "
        f"{about['gone_items']} gone) in {out}"
    )
    for name, metrics in info["metrics"].items():
        texts = [f"{m} {metrics[m]:.4f}" for m in ("recall@20", "ndcg@20")]
        typer.echo(f"  {name}: {'  '.join(texts)}")
