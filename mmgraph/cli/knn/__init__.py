"""``mmgraph knn``: nearest-neighbour graphs of a catalogue."""

from __future__ import annotations

import typer

from mmgraph.cli.knn.build import build
from mmgraph.cli.knn.info import info
from mmgraph.cli.knn.insert import insert
from mmgraph.cli.knn.merge import merge
from mmgraph.cli.knn.verify import verify

__all__ = ["app"]

app = typer.Typer(help="Exact nearest-neighbour graphs.", no_args_is_help=True)
for command in (build, insert, merge, verify, info):
    app.command()(command)
