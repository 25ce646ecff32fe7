"""``mmgraph data``: look at a data set, plant one, import one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli.options import (
    Device,
    Json,
    Quiet,
    Seed,
    Threads,
    console,
    emit_json,
    set_up,
)

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

app = typer.Typer(no_args_is_help=True, help="Look at, plant and import data sets.")

Split = Annotated[
    str,
    typer.Option(help="label, per_user, temporal, leave_one_out, cold_items, none."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if mmgraph made it.")]
Out = Annotated[Path, typer.Option(help="Folder to make.")]
Duplicates = Annotated[
    str, typer.Option(help="A pair that occurs again: error, first or last.")
]


@app.command()
def info(
    data: Annotated[str, typer.Argument(help="Data folder, or 'synthetic'.")],
    split: Split = "label",
    seed: Seed = 0,
    duplicates: Duplicates = "error",
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a data set and print its report."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import load_dataset

    splits = load_dataset(data, split=split, seed=seed, duplicates=duplicates)
    _report(splits, data, as_json, quiet)


@app.command()
def synth(
    out: Out,
    users: Annotated[int, typer.Option(help="Number of users.")] = 1000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 600,
    interactions: Annotated[int, typer.Option(help="Mean number per user.")] = 20,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIM", help="Repeatable; visual=64, textual=48 by default."
        ),
    ] = None,
    shared_rank: Annotated[int, typer.Option(help="Factors all modalities share.")] = 4,
    private_share: Annotated[
        float, typer.Option(help="Ratio of the liking in private factors.")
    ] = 0.8,
    seed: Seed = 0,
    force: Force = False,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plant a catalogue whose right answers are known and write it to a folder."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import synthetic, write_dataset
    from mmgraph.data.write import FORCE
    from mmgraph.errors import UserError
    from mmgraph.folders import check_new_folder

    check_new_folder(out, replace=force, fix=FORCE)

    try:
        train, val, test, _ = synthetic(
            seed=seed,
            num_users=users,
            num_items=items,
            interactions_per_user=interactions,
            modalities=_dims(modality) if modality else None,
            shared_rank=shared_rank,
            private_share=private_share,
        )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error), "choose other sizes") from error
    write_dataset(train, val, test, out, force=force)
    _report((train, val, test), str(out), as_json, quiet)


@app.command("import")
def import_(
    inter: Annotated[
        Path, typer.Option(help="Interactions: .inter, .tsv, .csv or .parquet.")
    ],
    out: Out,
    feat: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Features of a modality; repeatable."),
    ] = None,
    split: Split = "label",
    duplicates: Duplicates = "error",
    seed: Seed = 0,
    force: Force = False,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring files of any accepted format into one checked, split data folder."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import read_catalogue, split_dataset, write_dataset
    from mmgraph.data.splits import BY_TIME
    from mmgraph.data.write import FORCE
    from mmgraph.folders import check_new_folder

    files = _by_modality(feat or [], "NAME=FILE")
    inputs = [inter, *map(Path, files.values())]
    check_new_folder(out, replace=force, inputs=inputs, fix=FORCE)
    data = read_catalogue(
        inter,
        files,
        duplicates=duplicates,
        labels=split == "label",
        times=split in BY_TIME,
    )
    splits = split_dataset(data, split, seed=seed, path=inter)
    write_dataset(*splits, out, force=force)
    _report(splits, str(out), as_json, quiet)


def _by_modality(options: list[str], form: str) -> dict[str, str]:
    from mmgraph.data.formats.layout import check_modality_names
    from mmgraph.errors import UserError

    pairs = [text.partition("=") for text in options]
    for text, (name, _, value) in zip(options, pairs, strict=True):
        if not (name and value):
            raise UserError(f"cannot read {text!r}", f"write {form}")
    check_modality_names(name for name, *_ in pairs)
    return {name: value for name, _, value in pairs}


def _dims(modality: list[str]) -> dict[str, int]:
    from mmgraph.errors import UserError

    dims = _by_modality(modality, "NAME=DIM")
    for name, dim in dims.items():
        if not (dim.isascii() and dim.isdigit()):
            raise UserError(f"cannot read '{name}={dim}'", "write NAME=DIM")
    return {name: int(dim) for name, dim in dims.items()}


def _report(
    splits: tuple[HeteroData, HeteroData, HeteroData],
    title: str,
    as_json: bool,
    quiet: bool,
) -> None:
    from mmgraph.data import data_report, fingerprint

    report = {**data_report(*splits), "data_sha256": fingerprint(*splits)}
    if as_json:
        emit_json(report)
    elif not quiet:
        _print_tables(report, title)


def _print_tables(report: dict[str, Any], title: str) -> None:
    from rich.table import Table

    out = console()
    table = Table(title=title, show_header=False)
    for key in ("users", "items", "interactions"):
        table.add_row(key, f"{report[key]:,}")
    table.add_row("sparsity", f"{report['sparsity']:.4%}")
    for name, part in report["splits"].items():
        dropped = f", {part['dropped_rows']} dropped" if part["dropped_rows"] else ""
        table.add_row(name, f"{part['rows']:,} ({part['share']:.1%}){dropped}")
    for kind in ("user", "item"):
        table.add_row(
            f"{kind}s without training edges", f"{report[f'{kind}s_without_train']:,}"
        )
        quartiles = " / ".join(f"{value:g}" for value in report["degree"][kind])
        table.add_row(f"{kind} degree (min, quartiles, max)", quartiles)
    table.add_row("sha256", report["data_sha256"][:16])
    out.print(table)
    if report["modalities"]:
        columns = ("dim", "stored_dtype", "missing_rows", "zero_rows", "duplicate_rows")
        table = Table("modality", *(name.replace("_", " ") for name in columns))
        for name, part in report["modalities"].items():
            table.add_row(
                name,
                *(
                    str("-" if part[column] is None else part[column])
                    for column in columns
                ),
            )
        out.print(table)
