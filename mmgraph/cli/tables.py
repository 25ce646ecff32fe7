"""Tables of a report on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmgraph.cli import options as opt

if TYPE_CHECKING:
    from mmgraph.analysis.report.table import Table


def print_table(table: Table) -> None:
    """Print a table to stdout, its first column to the left, the others right."""
    from rich.table import Table as Grid

    from mmgraph.analysis.report.table import cell_text

    grid = Grid(title=table.caption or None)
    for n, column in enumerate(table.columns):
        grid.add_column(column, justify="left" if n == 0 else "right")
    for row in table.rows:
        grid.add_row(*(cell_text(cell) for cell in row))
    opt.console().print(grid)
