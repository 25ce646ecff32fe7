"""Statistics of the data: Table 1 of both papers."""

from __future__ import annotations

from mmgraph.analysis.leaderboard.published import published_counts
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.paper_columns import drop_empty_paper_columns
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.experiment import split_counts
from mmgraph.schema import ITEM, feature_key


def data_table(context: ExperimentContext) -> ExperimentResult:
    """Users, items, interactions and sparsity, beside the papers' where they have them.

    Both papers' Table 1 is the same.
    """
    counts = split_counts(context.splits)
    pairs = sum(counts[split] for split in ("train", "valid", "test"))
    own = {"users": counts["users"], "items": counts["items"], "interactions": pairs}
    paper = published_counts(context.dataset) or {}
    numbers = {
        **own,
        "sparsity": _sparsity(**own),
        "splits": {split: counts[split] for split in ("train", "valid", "test")},
        "dims": {
            m: int(context.train[ITEM][feature_key(m)].size(1))
            for m in context.modalities
        },
        "published": {**paper, "sparsity": _sparsity(**paper)} if paper else None,
    }
    rows: list[list[Cell]] = [[name, own[name], paper.get(name)] for name in own]
    printed = f"{100 * _sparsity(**paper):.2f} %" if paper else None
    rows.append(["sparsity", f"{100 * _sparsity(**own):.2f} %", printed])
    columns = ["", context.source.name, "Paper"]
    table = Table(columns, rows, f"Statistics of {context.source.name}")
    shares = ", ".join(
        f"{split} {100 * counts[split] / pairs:.1f} %"
        for split in ("train", "valid", "test")
    )
    note = f"Split: {shares}. The papers say 8:1:1; their rule per user gives 74:13:13."
    return ExperimentResult(
        numbers, tables=[drop_empty_paper_columns(table)], notes=[note]
    )


def _sparsity(users: int, items: int, interactions: int) -> float:
    return 1 - interactions / (users * items)
