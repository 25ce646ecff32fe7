"""The table of commands."""

from __future__ import annotations

from typing import Annotated

import typer

import mmgraph
from mmgraph.cli.bench import bench
from mmgraph.cli.compare import compare
from mmgraph.cli.data import app as data_app
from mmgraph.cli.diagnose import diagnose
from mmgraph.cli.doctor import doctor
from mmgraph.cli.evaluate import evaluate
from mmgraph.cli.features import app as features_app
from mmgraph.cli.knn import app as knn_app
from mmgraph.cli.models import models
from mmgraph.cli.reproduce import reproduce
from mmgraph.cli.serving.export import export
from mmgraph.cli.serving.recommend import recommend
from mmgraph.cli.serving.serve import serve
from mmgraph.cli.serving.similar import similar
from mmgraph.cli.serving.update import update
from mmgraph.cli.train import train
from mmgraph.cli.tune import tune

app = typer.Typer(
    help="Multimodal recommendation: train, compare, recommend, build item graphs.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    *(train, tune, evaluate, recommend, similar, export, serve, update),
    *(bench, compare, models, reproduce, diagnose, doctor),
):
    app.command()(command)
app.add_typer(data_app, name="data")
app.add_typer(features_app, name="features")
app.add_typer(knn_app, name="knn")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mmgraph {mmgraph.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version."),
    ] = False,
    import_: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE|FILE.py",
            help="Import it first: it registers systems of your own. Anywhere.",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    pass  # main() has taken these two out already; they stand here for --help
