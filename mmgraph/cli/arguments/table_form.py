"""Options that say how a table is written, for every command that reads one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mmgraph.data.formats.tables.table_format import TableFormat

ItemColumn = Annotated[
    str | None, typer.Option("--item-col", metavar="COLUMN", help="The item ids.")
]
Separator = Annotated[
    str | None,
    typer.Option("--sep", help="Characters between columns, or tab; by the suffix."),
]
Encoding = Annotated[
    str, typer.Option("--encoding", help="Of text: utf-8, latin-1, cp1252, utf-16, ...")
]
Duplicates = Annotated[
    str,
    typer.Option("--duplicates", help="An id in several rows: error, first or last."),
]


def table_form(
    separator: str | None,
    encoding: str,
    *,
    header: bool = True,
    times: str | None = None,
    **columns: str | None,
) -> TableFormat:
    """How a table is written, from the options of a command.

    Args:
        separator: As the option has it.
        encoding: Of text.
        header: False where the first row holds data.
        times: How times are written.
        columns: Column of each role, None where the user named none.

    Example:
        >>> dict(table_form(";", "latin-1", title="nom", id=None).columns)
        {'title': 'nom'}
    """
    from mmgraph.data.formats.tables.table_format import TableFormat

    named = {role: name for role, name in columns.items() if name is not None}
    return TableFormat(named, separator, encoding, header, times)
