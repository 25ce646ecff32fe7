"""``mmgraph serve``: a trained system as a web service."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.arguments import table_form as form
from mmgraph.cli.serving import arguments as arg
from mmgraph.errors import UserError


def serve(
    run: Annotated[Path, typer.Argument(help="A folder that mmgraph train wrote.")],
    host: Annotated[str, typer.Option("--host", help="Address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0: any.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Name that requests may be for, as behind a proxy. Repeatable.",
        ),
    ] = None,
    titles: arg.Titles = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="DIR",
            help="Pictures named by item id; with --picture-col, where they lie.",
        ),
    ] = None,
    picture_col: Annotated[
        str | None,
        typer.Option(
            "--picture-col", metavar="COLUMN", help="Paths to pictures, in --titles."
        ),
    ] = None,
    title_col: arg.TitleColumn = None,
    item_col: form.ItemColumn = None,
    sep: form.Separator = None,
    encoding: form.Encoding = "utf-8",
    duplicates: form.Duplicates = "error",
    every: Annotated[
        float, typer.Option("--every", help="Seconds between looks for a new run.")
    ] = 10.0,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Recommend from an HNSW index (FAISS)."),
    ] = False,
    data: opt.MovedData = None,
    seed: opt.Seed = 999,
    threads: opt.Threads = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Answer requests for recommendations and similar items, and show a page.

    POST /recommend takes {"user_id": ...} or {"history": [...]}; GET /similar/ITEM,
    /picture/ITEM, /thumbnail/ITEM, /history/USER, /users, /items, /health, /version
    and /openapi.json; the page is at /. Requests come from this machine alone, for
    localhost, its number or an --allow-host, unless --host says otherwise. If another
    run takes the place of RUN, it is loaded and taken over between two requests.

    Example:
    mmgraph serve runs/freedom --titles items.csv --pictures photos
    """
    opt.set_up(seed, "cpu", threads, quiet)
    opt.check_range("port", port, 0, 2**16 - 1)
    if not 0 < every < 2**31:
        raise UserError(f"cannot look every {every} seconds", "choose another --every")
    try:
        import uvicorn

        from mmgraph.serving.app import Current, create_app
    except ImportError:
        raise UserError(
            "serving needs FastAPI and uvicorn", "pip install 'mmgraph[serve]'"
        ) from None
    from mmgraph.serving.server import (
        bound_socket,
        bracketed,
        host_name,
        load_service,
        run_digest,
        served_names,
        taking_over,
    )

    allowed = [host_name(name) for name in allow_host or []]
    load = partial(
        load_service,
        run,
        titles=titles,
        form=form.table_form(
            sep, encoding, id=item_col, title=title_col, picture=picture_col
        ),
        duplicates=duplicates,
        pictures=pictures,
        data=data,
        approximate=approximate,
    )
    served = run_digest(run)  # before it is loaded, so that no later one is missed
    current = Current(load())
    with (
        bound_socket(host, port) as bound,
        taking_over(run, served, load, partial(setattr, current, "service"), every),
    ):
        where = bound.getsockname()
        app = create_app(current, served_names(host, where[0], allowed))
        url = f"http://{bracketed(where[0])}:{where[1]}"
        typer.echo(f"{current.service.system} on {url}")
        config = uvicorn.Config(app, log_level="warning")
        uvicorn.Server(config).run(sockets=[bound])
