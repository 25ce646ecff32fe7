"""Arguments that the ``mmgraph features`` commands take, and what they do with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from mmgraph.data.formats.tables.table_format import TableFormat
    from mmgraph.encode.cluster_encoding import MakeEncoder
    from mmgraph.encode.item_features import OnRows

Table = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A .csv, .tsv or .parquet of items.")
]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="A .npz, .parquet or .safetensors."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="DIR|NAME", help="A folder, or a hub's name."),
]
TitleColumn = Annotated[
    str | None,
    typer.Option("--column", "--title-col", metavar="COLUMN", help="The titles."),
]
PictureColumn = Annotated[
    str | None,
    typer.Option(
        "--column", "--picture-col", metavar="COLUMN", help="Paths to the pictures."
    ),
]
Dtype = Annotated[str, typer.Option("--dtype", help="float32|float16")]
BatchSize = Annotated[
    int,
    typer.Option("--batch-size", min=1, max=2**16, help="Rows in the model at once."),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Make every N-th part from I on, and no file."
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was stopped.")
]


def write_and_report(
    table: Path,
    kind: str,
    form: TableFormat,
    make: MakeEncoder,
    out: Path,
    *,
    duplicates: str,
    dtype: str,
    resume: bool,
    shard: str | None,
    ray: str | None,
    gpus: float | None,
    device: str,
    threads: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check the places, read the table, load the model, encode and say what was done.

    Args:
        table: The table.
        kind: Of its contents, ``"title"`` or ``"picture"``.
        form: How it is written.
        make: Loads the model on a device.
        out: The feature file.
        duplicates: What to do about an id in several rows.
        dtype: Of the features.
        resume: Go on with a run that was stopped.
        shard: Make the parts of this share alone.
        ray: Address of a cluster that makes the parts.
        gpus: GPUs of a part there.
        device: Device to compute on.
        threads: CPU threads.
        as_json: Write JSON.
        quiet: No progress.
    """
    from mmgraph.data.formats.tables.item_table import read_item_table
    from mmgraph.encode.cluster_encoding import encoding
    from mmgraph.encode.feature_file import check_ids
    from mmgraph.encode.item_features import (
        check_out,
        left_out_file,
        rows_of_shard,
        write_item_features,
        write_shard,
    )
    from mmgraph.shards import parse_shard

    if shard is not None:
        parse_shard(shard)
        if ray is not None:
            raise UserError("--shard and --ray are both given", "give one of them")
    check_out(out, inputs=[table], dtype=dtype, resume=resume or shard is not None)
    items = read_item_table(table, kind, form, duplicates=duplicates)
    check_ids(out, items.ids)
    loaded = make(device)
    if shard is not None:
        with row_bar(rows_of_shard(len(items.contents), shard), quiet=quiet) as on_rows:
            made = write_shard(items, loaded, out, shard, dtype=dtype, on_rows=on_rows)
        _say_parts(out, made, as_json=as_json)
        return
    with (
        row_bar(len(items.contents), quiet=quiet) as on_rows,
        encoding(
            make, loaded, ray=ray, gpus=gpus, device=device, threads=threads
        ) as encode_parts,
    ):
        report = write_item_features(
            items,
            loaded,
            out,
            dtype=dtype,
            resume=resume,
            on_rows=on_rows,
            encode_parts=encode_parts,
        )
    listed = left_out_file(out)
    if as_json:
        opt.emit_json({"out": str(out), "left_out_file": str(listed)} | report)
        return
    typer.echo(_line(out, report))
    if report["left_out"]:
        counts = [f"{reason} ({n})" for reason, n in report["left_out"].items()]
        typer.echo(f"left out, listed in {listed}: {', '.join(counts)}")


def _say_parts(out: Path, made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        opt.emit_json({"out": str(out)} | made)
        return
    typer.echo(f"{made['folder']}: {made['parts']} of {made['of']} parts")
    if made["parts"] == made["of"]:
        typer.echo(f"for {out} run again with --resume in place of --shard")


def _line(out: Path, report: dict[str, Any]) -> str:
    return (
        f"{report['items']} items, {report['dimension']} numbers each "
        f"({report['dtype']}), in {out}"
    )


def place_of_model(model: str) -> str:
    """A model as any machine finds it: the whole path of a folder, or a hub's name.

    Example:
        >>> place_of_model("timm/resnet50.a1_in1k")
        'timm/resnet50.a1_in1k'
    """
    folder = Path(model).expanduser()
    return str(folder.absolute()) if model and folder.is_dir() else model


@contextmanager
def row_bar(count: int, *, quiet: bool = False) -> Iterator[OnRows | None]:
    """A bar of rows on stderr, where that is a terminal; call it with how many more.

    Example:
        >>> with row_bar(10, quiet=True) as on_rows:
        ...     on_rows is None
        True
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("rows"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=count)
        yield lambda rows: progress.advance(bar, rows)
