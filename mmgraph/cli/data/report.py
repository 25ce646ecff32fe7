"""What a data set holds, as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmgraph.cli.options import console, emit_json

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from mmgraph.data import ImportReport


def report_splits(
    splits: tuple[HeteroData, HeteroData, HeteroData],
    title: str,
    as_json: bool,
    quiet: bool,
    imported: ImportReport | None = None,
) -> None:
    """Print the report of a split data set, and what its import left out.

    Args:
        splits: The data set.
        title: What it is called.
        as_json: As one document, the import under ``"import"``.
        quiet: Print no table.
        imported: What was taken and left, where the data come from an import.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> report_splits(load_dataset("synthetic"), "synthetic", False, quiet=True)
    """
    from mmgraph.data import data_report, fingerprint

    report = {**data_report(*splits), "data_sha256": fingerprint(*splits)}
    if imported is not None:
        report["import"] = imported.to_json()
    if as_json:
        emit_json(report)
    elif not quiet:
        _print_tables(report, title)
        if imported is not None:
            _print_import(imported)


def _print_import(imported: ImportReport) -> None:
    from rich.table import Table

    files = ", ".join(imported.files)
    title = f"{files}: {imported.taken:,} of {imported.rows:,} rows taken"
    if imported.left:
        table = Table("left out", "rows", "first row", title=title)
        for each in imported.left:
            first = "" if each.first_row is None else str(each.first_row)
            table.add_row(each.kind, f"{each.rows:,}", first)
        console().print(table)
    else:
        console().print(title)
    for name, part in imported.features.items():
        ids = f", ids in {part['ids']!r}" if part["ids"] else ""
        left = f", not read: {', '.join(part['not_read'])}" if part["not_read"] else ""
        console().print(f"{name}: {part['file']}{ids}{left}")
        for each in part["left"]:
            first = f"first in row {each['first_row']}, counted from 0"
            console().print(f"  left out: {each['rows']} x {each['kind']} ({first})")


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
