"""Statistics of the data: Table 1 of both papers."""

from __future__ import annotations

from mmgraph.analysis.leaderboard.published import published_counts
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.paper_columns import drop_empty_paper_columns
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.experiment import split_counts


def data_table(context: ExperimentContext) -> ExperimentResult:
    """Users, items, interactions and sparsity, beside the papers' where they have them.

    Both papers' Table 1 is the same.
    """
    counts = split_counts(context.splits)
    pairs = sum(counts[split] for split in ("train", "valid", "test"))
    own = {"users": counts["users"], "items": counts["items"], "interactions": pairs}
    paper = published_counts(context.dataset) or {}
    dims = context.dims
    numbers = {
        **own,
        "sparsity": _sparsity(**own),
        "splits": {split: counts[split] for split in ("train", "valid", "test")},
        "dims": dims,
        "published": {**paper, "sparsity": _sparsity(**paper)} if paper else None,
    }
    rows: list[list[Cell]] = [
        [name, f"{own[name]:,}", f"{paper[name]:,}" if paper else None] for name in own
    ]
    printed = f"{100 * _sparsity(**paper):.2f} %" if paper else None
    rows.append(["sparsity", f"{100 * _sparsity(**own):.2f} %", printed])
    columns = ["", context.source.name, "Paper"]
    table = Table(columns, rows, f"Statistics of {context.source.name}")
    shares = ", ".join(
        f"{split} {100 * counts[split] / pairs:.1f} %"
        for split in ("train", "valid", "test")
    )
    notes = [
        f"Split: {shares}. The papers say 8:1:1; their rule per user gives 74:13:13."
    ]
    if dims:
        columns_of = ", ".join(f"{m} {dim:,}" for m, dim in dims.items())
        notes.append(f"Columns of the features: {columns_of}; the papers' 4,096, 384.")
    return ExperimentResult(
        numbers, tables=[drop_empty_paper_columns(table)], notes=notes
    )


def _sparsity(users: int, items: int, interactions: int) -> float:
    return 1 - interactions / (users * items)
