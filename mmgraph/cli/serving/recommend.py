"""``mmgraph recommend``: top items of users, original ids in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.arguments import table_form as form
from mmgraph.cli.serving import arguments as arg
from mmgraph.errors import UserError


def recommend(
    run: Annotated[Path, typer.Argument(help="A folder that mmgraph train wrote.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.csv|.parquet", help="The table.")
    ],
    users: Annotated[
        str | None,
        typer.Option(
            "--users", metavar="FILE|id,id", help="One id per line, or a list; all."
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="Items per user.")] = 20,
    unknown: Annotated[
        str,
        typer.Option(help="Users the data lack: error, skip, or the popular items."),
    ] = "error",
    candidates: Annotated[
        str,
        typer.Option(help="Items by their training interactions: all, warm, cold."),
    ] = "all",
    allow: Annotated[
        str | None,
        typer.Option(metavar="FILE|id,id", help="The only items that may come."),
    ] = None,
    deny: Annotated[
        str | None, typer.Option(metavar="FILE|id,id", help="Items that may not.")
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Leave no training item out.")
    ] = False,
    titles: arg.Titles = None,
    title_col: arg.TitleColumn = None,
    item_col: form.ItemColumn = None,
    sep: form.Separator = None,
    encoding: form.Encoding = "utf-8",
    duplicates: form.Duplicates = "error",
    shard_rows: Annotated[
        int,
        typer.Option(help="Write Parquet files of about so many rows into OUT."),
    ] = 0,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="The I-th of N shares of users."),
    ] = None,
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write user_id, item_id, rank, score; no item the user has in training.

    A user who is named twice is written once; one for whom fewer than K candidates are
    left gets fewer rows; one of whom the system knows nothing gets the popular items,
    or with --unknown skip none. With --shard several machines share the users; their
    tables follow each other. With --ray a cluster ranks, and the table is written here.

    Example:
    mmgraph recommend runs/freedom --users u1,u2 --k 20 --out top.csv
    """
    if shard is not None and ray is not None:
        raise UserError("--shard and --ray are both given", "give one of them")
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet)
    opt.check_range("k", k, 1, opt.MOST_ITEMS)
    opt.check_range("shard-rows", shard_rows, 0, opt.MOST_ITEMS)
    from mmgraph.bench.jobs.cluster_ranking import ranking
    from mmgraph.bench.training import write_recommendations
    from mmgraph.cli.progress import user_bar
    from mmgraph.serving.titles import read_titles
    from mmgraph.train.recommendations import Choice

    names = None
    if titles is not None:
        written = form.table_form(sep, encoding, id=item_col, title=title_col)
        names = read_titles(titles, written, duplicates=duplicates)
    choice = Choice(
        unknown=unknown,
        candidates=candidates,
        allow=allow,
        deny=deny,
        include_seen=include_seen,
        titles=names,
    )
    with (
        user_bar(quiet=quiet) as on_users,
        ranking(
            run, ray=ray, gpus=gpus, data=data, device=device, threads=threads
        ) as rank,
    ):
        rows, people = write_recommendations(
            run,
            out,
            users=users,
            k=k,
            data=data,
            device=device,
            choice=choice,
            shard_rows=shard_rows,
            shard=shard,
            on_users=on_users,
            inputs=[] if titles is None else [titles],
            rank=rank,
        )
    if as_json:
        opt.emit_json({"out": str(out), "rows": rows, "users": people, "k": k})
    else:
        typer.echo(f"{rows} recommendations for {people} users in {out}")
