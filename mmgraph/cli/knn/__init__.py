"""``mmgraph knn``: nearest-neighbour graphs of a catalogue."""

from __future__ import annotations

import typer

from mmgraph.cli.knn import blocks, build, info, insert, merge, verify

__all__ = ["app"]

app = typer.Typer(help="Nearest-neighbour graphs.", no_args_is_help=True)
for command in (
    build.build,
    blocks.blocks,
    blocks.join,
    insert.insert,
    merge.merge,
    verify.verify,
    info.info,
):
    app.command()(command)
