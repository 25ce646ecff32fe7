"""Columns of a table that hold the papers' numbers."""

from __future__ import annotations

from mmgraph.analysis.report.table import Table


def drop_empty_paper_columns(table: Table) -> Table:
    """The table without those columns about the paper in which nothing stands.

    Example:
        >>> table = Table(["System", "R@20", "Paper R@20"], [["SEA", ".09", ""]])
        >>> drop_empty_paper_columns(table).columns
        ['System', 'R@20']
    """
    keep = [
        name
        for n, name in enumerate(table.columns)
        if "paper" not in name.lower() or any(row[n] for row in table.rows)
    ]
    return table.select(keep)
