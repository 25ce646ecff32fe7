"""Options of commands that show titles beside ids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Titles = Annotated[
    Path | None,
    typer.Option(
        "--titles",
        metavar="FILE",
        help="A .csv, .tsv or .parquet with the title of each item.",
    ),
]
TitleColumn = Annotated[
    str | None, typer.Option("--title-col", metavar="COLUMN", help="The titles.")
]
