"""``mmgraph features``: titles and pictures to features."""

from __future__ import annotations

import typer

from mmgraph.cli.features import image, text

__all__ = ["app"]

app = typer.Typer(
    help="Features from titles and pictures, by trained models.", no_args_is_help=True
)
for command in (text.text, image.image):
    app.command()(command)
