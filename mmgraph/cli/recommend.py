"""``mmgraph recommend``: top items of users, original ids in and out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    import numpy as np


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

    A user who is named twice is written once; one for whom fewer than K candidates are
    left gets fewer rows. Example:
    mmgraph recommend runs/freedom --users u1,u2 --k 20 --out top.csv
    """
    if out.suffix not in (".csv", ".parquet"):
        raise UserError(f"cannot write {out.name!r}", "name it .csv or .parquet")
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.bench.run_directory import load_run
    from mmgraph.train.recommendations import recommend_table

    loaded = load_run(run, data=data, device=device)
    known = loaded.splits[0]["user"].raw_id
    wanted = None if users is None else _read_ids(users, known)
    table = recommend_table(loaded.model, loaded.splits[0], wanted, k)
    _write(table, out)
    rows, people = len(table), table["user_id"].nunique()
    if as_json:
        opt.emit_json({"out": str(out), "rows": rows, "users": people, "k": k})
    else:
        typer.echo(f"{rows} recommendations for {people} users in {out}")


def _read_ids(users: str, known: np.ndarray) -> list[str]:
    """Ids of a file, or of a list, each once; all of them are known."""
    from mmgraph.data.ids import as_ids, match_ids

    is_file = os.path.isfile(users)  # a long list is no name that Path would ask for
    words = _lines(Path(users)) if is_file else users.split(",")
    rows: dict[str, int] = {}
    for row, word in enumerate(words, start=1):
        if word.strip():
            rows.setdefault(word.strip(), row)
    ids = list(rows)
    if not ids:
        raise UserError("no user ids given", "write one id per line, or id,id")
    places = match_ids(known, as_ids(ids))
    unknown = [word for word, place in zip(ids, places, strict=True) if place < 0]
    if not unknown:
        return ids
    first = unknown[0]
    if is_file:
        raise UserError(
            f"unknown user id {first!r}",
            "write an id of the catalogue in every row, and no header",
            path=users,
            row=rows[first],
        )
    if len(ids) == 1 and (os.sep in first or Path(first).suffix):
        raise UserError(
            f"no such file or user id: {first!r}",
            "give a file with one id per line, or id,id",
        )
    raise UserError(f"unknown user id {first!r}", "use an id of the catalogue")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            "not UTF-8 text", "write one id per line, in UTF-8", path=path
        ) from error


def _write(table: object, out: Path) -> None:
    import io

    import pandas as pd

    from mmgraph.files import write_atomic

    assert isinstance(table, pd.DataFrame)
    buffer = io.BytesIO()
    if out.suffix == ".csv":
        table.to_csv(buffer, index=False)
    else:
        table.to_parquet(buffer, index=False)
    write_atomic(out, buffer.getvalue())
