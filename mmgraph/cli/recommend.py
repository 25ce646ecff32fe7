"""``mmgraph recommend``: top items of users, original ids in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
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
    k: Annotated[int, typer.Option("--k", min=1, help="Items per user.")] = 20,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write user_id, item_id, rank, score; never an item the user has in training.

    A user for whom fewer than K candidates are left gets fewer rows. Example:
    mmgraph recommend runs/freedom --users u1,u2 --k 20 --out top.csv
    """
    if out.suffix not in (".csv", ".parquet"):
        raise UserError(f"cannot write {out.name!r}", "name it .csv or .parquet")
    opt.prepare(seed, device, threads, quiet)
    from mmgraph.train.recommend_table import recommend_table
    from mmgraph.train.run_directory import load_run

    loaded = load_run(run, data=data, device=device)
    wanted = None if users is None else _read_ids(users)
    table = recommend_table(loaded.model, loaded.splits[0], wanted, k)
    _write(table, out)
    rows, people = len(table), table["user_id"].nunique()
    if as_json:
        opt.emit_json({"out": str(out), "rows": rows, "users": people, "k": k})
    else:
        typer.echo(f"{rows} recommendations for {people} users in {out}")


def _read_ids(users: str) -> list[str]:
    path = Path(users)
    if path.is_file():
        words = path.read_text("utf-8-sig").splitlines()
    else:
        words = users.split(",")
    ids = [word.strip() for word in words if word.strip()]
    if not ids:
        raise UserError("no user ids given", "write one id per line, or id,id")
    return ids


def _write(table: object, out: Path) -> None:
    import io

    import pandas as pd

    from mmgraph.train.files import write_atomic

    assert isinstance(table, pd.DataFrame)
    buffer = io.BytesIO()
    if out.suffix == ".csv":
        table.to_csv(buffer, index=False)
    else:
        table.to_parquet(buffer, index=False)
    write_atomic(out, buffer.getvalue())
