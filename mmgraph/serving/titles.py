"""Titles of items, as a user writes them beside the ids."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from mmgraph.errors import UserError

_FIX = "write a .csv or .parquet with the columns item_id and title"


def read_titles(path: str | Path) -> dict[str, str]:
    r"""Title of each item, by its id as text.

    Args:
        path: A ``.csv`` or ``.parquet`` file with the columns ``item_id`` and
            ``title``; rows without a title are left out.

    Raises:
        UserError: If it cannot be read, a column is missing, or an item has two titles.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "titles.csv"
        >>> _ = path.write_text("item_id,title\n007,Tea\n9,\n")
        >>> read_titles(path)
        {'007': 'Tea'}
    """
    path = Path(path)
    table = _read(path)
    for name in ("item_id", "title"):
        if name not in table:
            columns = ", ".join(map(str, table.columns))
            what = f"no column {name!r} (got {columns})"
            raise UserError(what, _FIX, path=path)
    table = table[["item_id", "title"]].dropna().astype(str)
    twice = table["item_id"].duplicated()
    if twice.any():
        what = f"item {table['item_id'][twice].iloc[0]!r} has two titles"
        row = int(table.index[twice.to_numpy()][0]) + 2
        raise UserError(what, "keep one", path=path, row=row)
    return dict(zip(table["item_id"], table["title"], strict=True))


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError("no such file", _FIX, path=path)
    try:
        if path.suffix == ".csv":  # "NA" is a title
            return pd.read_csv(
                path, dtype=str, keep_default_na=False, na_values=[""], engine="c"
            )
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
    except (ValueError, OSError, pa.ArrowException) as error:
        what = f"cannot be read ({' '.join(str(error).split())})"
        raise UserError(what, _FIX, path=path) from error
    raise UserError(f"not a table ({path.suffix or 'no ending'})", _FIX, path=path)
