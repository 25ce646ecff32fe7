"""Titles of items, as a user writes them beside the ids."""

from __future__ import annotations

from pathlib import Path

from mmgraph.data.formats.tables.item_table import read_item_table
from mmgraph.data.formats.tables.table_format import TableFormat


def read_titles(
    path: str | Path, form: TableFormat | None = None, *, duplicates: str = "error"
) -> dict[str, str]:
    r"""Title of each item, by its id as text.

    Args:
        path: A ``.csv``, ``.tsv`` or ``.parquet`` with an item per row; rows without
            an id or a title are left out.
        form: How it is written.
        duplicates: What to do about an item in several rows.

    Raises:
        UserError: If it cannot be read, a column is missing, no row has a title, or an
            item has two.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "titles.csv"
        >>> _ = path.write_text("item_id,title\n007,Tea\n9,\n")
        >>> read_titles(path)
        {'007': 'Tea'}
    """
    table = read_item_table(path, "title", form, duplicates=duplicates)
    return dict(zip(map(str, table.ids.tolist()), table.contents, strict=True))
