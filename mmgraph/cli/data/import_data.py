"""``mmgraph data import``: messy tables and the layouts of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli.arguments.table_form import Encoding, Separator, table_form
from mmgraph.cli.data.arguments import Duplicates, Force, Out, Split, by_modality
from mmgraph.cli.data.report import report_splits
from mmgraph.cli.options import Device, Json, Quiet, Seed, Threads, set_up


def import_data(
    inter: Annotated[
        Path,
        typer.Option(
            help="Interactions: .inter, .tsv, .csv or .parquet, or a folder of ours, "
            "MMRec, RecBole or Elliot."
        ),
    ],
    out: Out,
    feat: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Features of a modality, or a folder with a .npy of each item; "
            "repeatable.",
        ),
    ] = None,
    user_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the users.")
    ] = None,
    item_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the items.")
    ] = None,
    time_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the times.")
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="Of dates that are not ISO's: '%d/%m/%Y %H:%M'."
        ),
    ] = None,
    rating_col: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the ratings.")
    ] = None,
    min_rating: Annotated[
        float | None, typer.Option(help="Leave rows with a smaller rating out.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Leave earlier rows out.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Leave rows of this time and later out."),
    ] = None,
    sep: Separator = None,
    encoding: Encoding = "utf-8",
    no_header: Annotated[
        bool,
        typer.Option("--no-header", help="The first row is data; columns are 1, 2..."),
    ] = False,
    on_bad_rows: Annotated[
        str, typer.Option(help="Rows that cannot be read: error, or drop them.")
    ] = "error",
    duplicates: Duplicates = "error",
    min_interactions: Annotated[
        int, typer.Option(help="Keep users and items with at least so many (k-core).")
    ] = 0,
    id_col: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column of the item ids in feature files; found."
        ),
    ] = None,
    split: Split = "label",
    seed: Seed = 0,
    force: Force = False,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring files of any accepted format into one checked, split data folder."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import import_dataset, write_dataset
    from mmgraph.data.importing.sources import find_sources
    from mmgraph.data.write import check_dataset_folder

    form = table_form(
        sep,
        encoding,
        header=not no_header,
        times=time_format,
        user=user_col,
        item=item_col,
        time=time_col,
        rating=rating_col,
    )
    features = by_modality(feat or [], "NAME=FILE")
    sources = find_sources(inter, form)
    inputs = [*sources.files, *map(Path, features.values())]
    check_dataset_folder(out, force=force, inputs=inputs)
    splits, report = import_dataset(
        sources,
        features,
        form=form,
        id_column=id_col,
        min_rating=min_rating,
        since=since,
        until=until,
        bad_rows=on_bad_rows,
        duplicates=duplicates,
        min_interactions=min_interactions,
        split=split,
        seed=seed,
    )
    write_dataset(*splits, out, force=force)
    report_splits(splits, str(out), as_json, quiet, report)
