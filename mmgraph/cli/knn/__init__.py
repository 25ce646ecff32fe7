"""``mmgraph knn``: nearest-neighbour graphs of a catalogue."""

from __future__ import annotations

import typer

from mmgraph.cli.knn.blocks import blocks, join
from mmgraph.cli.knn.build import build
from mmgraph.cli.knn.info import info
from mmgraph.cli.knn.insert import insert
from mmgraph.cli.knn.merge import merge
from mmgraph.cli.knn.verify import verify

__all__ = ["app"]

app = typer.Typer(help="Nearest-neighbour graphs.", no_args_is_help=True)
for command in (build, blocks, join, insert, merge, verify, info):
    app.command()(command)
