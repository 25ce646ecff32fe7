"""``mmgraph data``: look at a data set, plant one, import one."""

from __future__ import annotations

import typer

from mmgraph.cli.data import import_data, info, synth

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look at, plant and import data sets.")
app.command()(info.info)
app.command()(synth.synth)
app.command("import")(import_data.import_data)
