"""The report of a build as JSON, or as one page: no script, no file from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from mmgraph.errors import UserError
from mmgraph.files import write_atomic, write_json
from mmgraph.folders import check_output_file

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>kNN graph</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
         padding: 0 1rem; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
           padding: .25rem .7rem; text-align: left; overflow-wrap: anywhere; }
  .bar { display: inline-block; height: .8rem; margin-right: .5rem;
         background: color-mix(in srgb, currentColor 55%, transparent); }
</style>
<h1>kNN graph</h1>
$body
</html>
""")

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
    "peak_memory_bytes": "Peak memory, bytes",
    "input_sha256": "SHA-256 of the features",
    "graph_sha256": "SHA-256 of the graph",
}


def check_report(path: Path) -> None:
    """Refuse a report that is neither JSON nor HTML, before any work is done.

    Example:
        >>> check_report(Path("report.html"))
    """
    if path.suffix not in (".json", ".html"):
        raise UserError(f"cannot write {path.name!r}", "name it .json or .html")
    if path.is_dir():
        raise UserError("is a folder", "choose another --report", path=path)
    check_output_file(path)


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report of a build as JSON or as a page, by the suffix.

    Args:
        path: The file.
        report: As :func:`mmgraph.analysis.knn.build_graphs` returns it.

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
    parts = [_section(name, row) for name, row in report["graphs"].items()]
    if report["overlap"]:
        parts.append(_overlap(report["overlap"]))
    write_atomic(path, _PAGE.substitute(body="\n".join(parts)))


def _section(name: str, row: Mapping[str, Any]) -> str:
    facts = "".join(
        f"<tr><th>{label}</th><td>{escape(_text(row[key]))}</td></tr>"
        for key, label in _ROWS.items()
    )
    most = max((rows for *_, rows in row["in_lists_histogram"]), default=1)
    bars = "".join(
        f"<tr><td>{_span(low, high)}</td><td><span class='bar' "
        f"style='width:{20 * rows / max(1, most):.2f}rem'></span>{rows}</td></tr>"
        for low, high, rows in row["in_lists_histogram"]
    )
    hubs = "".join(
        f"<tr><td>{node}</td><td>{count}</td></tr>" for node, count in row["hubs"]
    )
    return (
        f"<h2>{escape(name)}</h2><table>{facts}</table>"
        f"{_certificate(row['certificate'])}"
        "<h3>In-degrees: for how many items an item is a neighbour</h3>"
        f"<table><tr><th>In-degree</th><th>Items</th></tr>{bars}</table>"
        "<h3>Hubs</h3>"
        f"<table><tr><th>Row</th><th>In-degree</th></tr>{hubs}</table>"
    )


def _certificate(certificate: Mapping[str, Any] | None) -> str:
    """The recall asked of an approximate build, and that of its graph."""
    if certificate is None:
        return ""
    graph = "approximate"
    if certificate["fell_back"] and certificate["rows"] is None:
        graph = "exact: no approximate search was worth it for these features"
    elif certificate["fell_back"]:
        graph = "exact: the approximate graph, measured below, missed what was asked"
    rows = {"Recall asked for": _text(certificate["aim"]), "Graph": graph}
    if certificate["rows"] is not None:
        rows["Sampled rows"] = str(certificate["rows"])
        rows["Measured recall"] = f"{certificate['estimate']:.4f}"
        rows["99 % lower bound (Clopper-Pearson)"] = rounded_down(
            certificate["lower_99"]
        )
    if certificate["probe"]:
        rows["Cells looked into"] = (
            f"{certificate['probe']} of {certificate['num_cells']}"
        )
    body = "".join(f"<tr><th>{k}</th><td>{v}</td></tr>" for k, v in rows.items())
    return f"<h3>Certificate</h3><table>{body}</table>"


def rounded_down(ratio: float) -> str:
    """Four digits of a lower bound: rounded up, it would be none.

    Example:
        >>> rounded_down(0.98999), rounded_down(1.0)
        ('0.9899', '1.0000')
    """
    return f"{math.floor(ratio * 10_000) / 10_000:.4f}"


def _overlap(overlap: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(' and '.join(row['modalities']))}</td>"
        f"<td>{row['value']:.4f}</td><td>{row['expected']:.4f}</td></tr>"
        for row in overlap
    )
    head = "<tr><th>Modalities</th><th>In common</th><th>By chance</th></tr>"
    return f"<h2>Neighbours in common</h2><table>{head}{rows}</table>"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
