"""The report of a build as JSON, or as one page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgraph.analysis.knn.examples import example_tables
from mmgraph.analysis.report.formatting import bytes_text, decimals
from mmgraph.analysis.report.page import Figure, Section, page
from mmgraph.analysis.report.plots import panels, to_figure
from mmgraph.analysis.report.provenance import provenance
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.data import GraphFile
from mmgraph.errors import UserError
from mmgraph.files import write_atomic, write_json
from mmgraph.folders import check_output_file

_ROWS = {
    "num_nodes": "Items",
    "k": "Neighbours per item",
    "num_edges": "Edges",
    "metric": "Metric",
    "backend": "Backend",
    "exact": "Exact",
    "symmetrise": "Symmetrised",
    "weights": "Weights",
    "zero_rows": "Rows of zeros",
    "missing_rows": "Items the file lacks",
    "nan_rows": "Rows that are not finite",
    "duplicate_groups": "Groups of equal rows",
    "collapsed_rows": "Copies collapsed",
    "isolated_rows": "Items without an edge",
    "components": "Components (isolated items included)",
    "hubness": "Hubness (skewness of the in-degrees)",
    "seconds": "Seconds",
    "peak_memory_bytes": "Peak memory",
    "input_sha256": "SHA-256 of the features",
    "graph_sha256": "SHA-256 of the graph",
}


def check_report(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Refuse a report that is neither JSON nor HTML, before any work is done.

    Args:
        path: The report.
        inputs: Files that are read, which would be lost.

    Raises:
        UserError: If it is refused.

    Example:
        >>> check_report(Path("report.html"))
    """
    if path.suffix not in (".json", ".html"):
        raise UserError(f"cannot write {path.name!r}", "name it .json or .html")
    if path.is_dir():
        raise UserError("is a folder", "choose another --report", path=path)
    check_output_file(path, inputs=inputs)


def write_report(
    path: Path,
    report: Mapping[str, Any],
    file: GraphFile | None = None,
    *,
    command: str | None = None,
) -> None:
    """Write the report of a build as JSON or as a page, by the suffix.

    Args:
        path: The file.
        report: As :func:`mmgraph.analysis.knn.build_graphs` returns it.
        file: The graphs, for ids and examples on the page.
        command: The command that built them, to be told on the page.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "report.html"
        >>> write_report(path, {"graphs": {}, "overlap": []})
        >>> "<h1>kNN graph</h1>" in path.read_text()
        True
    """
    check_report(path)
    if path.suffix == ".json":
        write_json(path, report)
        return
    ids = None if file is None else file.ids
    sections = [_section(name, row, ids) for name, row in report["graphs"].items()]
    if report["overlap"]:
        sections.append(_overlap(report["overlap"]))
    if file is not None and (tables := example_tables(file)):
        sections.append(Section("Example neighbours", tables=tables))
    write_atomic(path, page("kNN graph", sections, provenance(command)))


def _section(name: str, row: Mapping[str, Any], ids: Sequence[Any] | None) -> Section:
    facts = [(label, _text(key, row[key])) for key, label in _ROWS.items()]
    item = "Row" if ids is None else "Item"
    hubs = [
        (str(node if ids is None else ids[node]), count) for node, count in row["hubs"]
    ]
    tables = [Table(("Fact", "Value"), facts)]
    if row["certificate"] is not None:
        tables.append(_certificate(row["certificate"]))
    degrees = Table(
        ("In-degree", "Items"),
        [(_span(low, high), items) for low, high, items in row["in_lists_histogram"]],
        "In-degrees: for how many items an item is a neighbour",
    )
    tables += [degrees, Table((item, "In-degree"), hubs, "Hubs")]
    return Section(name, tables=tables, figures=_figures(degrees))


def _figures(degrees: Table) -> list[Figure]:
    """The in-degrees as bars; none without matplotlib, since the table has them."""
    spans = [str(span) for span, _ in degrees.rows]
    items = [int(count or 0) for _, count in degrees.rows]
    try:
        drawing, (axes,) = panels(1, width=6.4)
    except UserError:
        return []
    axes.bar_label(axes.bar(range(len(items)), items))
    axes.set_xticks(range(len(spans)), spans)
    axes.set(xlabel="in-degree", ylabel="items")
    axes.grid(visible=False, axis="x")
    most = max(zip(items, spans, strict=True), default=(0, "any"))
    return [
        to_figure(
            drawing,
            "For how many items an item is a neighbour: a long tail means hubs.",
            f"Bar chart: {most[0]} items have an in-degree of {most[1]}.",
            Table(degrees.columns, degrees.rows),
        )
    ]


def _certificate(certificate: Mapping[str, Any]) -> Table:
    """The recall asked of an approximate build, and that of its graph."""
    graph = "approximate"
    if certificate["fell_back"] and certificate["rows"] is None:
        graph = "exact: no approximate search was worth it for these features"
    elif certificate["fell_back"]:
        graph = "exact: the approximate graph, measured below, missed what was asked"
    rows: list[tuple[str, Cell]] = [
        ("Recall asked for", str(certificate["aim"])),
        ("Graph", graph),
    ]
    if certificate["rows"] is not None:
        lower = rounded_down(certificate["lower_99"])
        rows += [
            ("Sampled rows", str(certificate["rows"])),
            ("Measured recall", decimals(certificate["estimate"])),
            ("99 % lower bound (Clopper-Pearson)", lower),
        ]
    if certificate["probe"]:
        cells = f"{certificate['probe']} of {certificate['num_cells']}"
        rows.append(("Cells looked into", cells))
    return Table(("Certificate", "Value"), rows)


def rounded_down(ratio: float) -> str:
    """Four digits of a lower bound: rounded up, it would be none.

    Example:
        >>> rounded_down(0.98999), rounded_down(1.0)
        ('0.9899', '1.0000')
    """
    return f"{math.floor(ratio * 10_000) / 10_000:.4f}"


def _overlap(overlap: Sequence[Mapping[str, Any]]) -> Section:
    rows = [
        (
            " and ".join(row["modalities"]),
            decimals(row["value"]),
            decimals(row["expected"]),
        )
        for row in overlap
    ]
    columns = ("Modalities", "In common", "By chance")
    return Section("Neighbours in common", tables=[Table(columns, rows)])


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_bytes"):
        return bytes_text(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
