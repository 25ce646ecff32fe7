"""From whatever a shop or another library has to a checked, split catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from mmgraph.data.catalogue import catalogue_of
from mmgraph.data.formats.feature_formats import features_beside
from mmgraph.data.formats.features import FeatureMatrix
from mmgraph.data.formats.interactions import check_duplicates, parse_interactions
from mmgraph.data.formats.parquet import read_schema
from mmgraph.data.formats.tables.raw_table import RawTable, read_raw_table
from mmgraph.data.formats.tables.table_format import SEPARATORS, TableFormat
from mmgraph.data.formats.tables.text_numbers import read_text_numbers
from mmgraph.data.importing.cleaning import (
    LeftRows,
    clean,
    concatenate,
    log_bad,
    refuse_bad,
)
from mmgraph.data.importing.core import k_core
from mmgraph.data.importing.features import read_import_features
from mmgraph.data.importing.id_columns import find_id_columns
from mmgraph.data.importing.sources import Sources, find_sources
from mmgraph.data.importing.written_times import read_written_times
from mmgraph.data.label_split import Split
from mmgraph.data.splits import BY_TIME, SPLITS, split_dataset
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, ITEM, USER

BAD_ROWS = ("error", "drop")


@dataclass(frozen=True)
class ImportReport:
    """What an import took, what it left, and why.

    Attributes:
        files: The tables, in the order read.
        rows: Rows of the tables, without headers.
        taken: Interactions of the result, before its split.
        left: Rows left out, by kind.
        features: File of each modality, the column of its ids (None: by a usual name,
            or row = item), the columns that were not read, and the rows left out.
    """

    files: list[str]
    rows: int
    taken: int
    left: list[LeftRows]
    features: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The same as one document.

        Example:
            >>> ImportReport(["log.csv"], 2, 2, [], {}).to_json()["taken"]
            2
        """
        left = [each.to_json() for each in self.left]
        return {
            "files": self.files,
            "rows": self.rows,
            "taken": self.taken,
            "left": left,
            "features": self.features,
        }


def import_dataset(
    source: str | Path | Sources,
    features: Mapping[str, str | Path] | None = None,
    *,
    form: TableFormat | None = None,
    id_column: str | None = None,
    min_rating: float | None = None,
    since: str | None = None,
    until: str | None = None,
    bad_rows: str = "error",
    duplicates: str = "error",
    min_interactions: int = 0,
    split: str = "label",
    seed: int = 0,
) -> tuple[Split, ImportReport]:
    """Read a messy table, or a folder of another library, and split it.

    In this order: bad rows, low ratings, times outside a range, pairs that occur again,
    users and items with too few interactions. Files are read, never written.

    Args:
        source: The table, or a folder, see
            :func:`~mmgraph.data.importing.sources.find_sources`.
        features: Feature file of each modality, beside those in the folder; also a
            folder with a ``.npy`` of each item.
        form: How the table is written. A column of times that it names must be
            readable; one that was found only where the split goes by time.
        id_column: Column of the ids in the feature files; by default a usual name,
            else the column of which most ids are items.
        min_rating: Leave rows with a smaller rating out.
        since: Leave earlier rows out: a date, or a number where times are numbers.
        until: Leave rows from this time on out.
        bad_rows: ``"error"``, or ``"drop"`` to leave rows out that cannot be read,
            also of features that are not finite or of an item that had a row before.
        duplicates: A pair that occurs again: ``"error"``, ``"first"`` or ``"last"``.
        min_interactions: k of the :func:`~mmgraph.data.importing.core.k_core`.
        split: See :func:`~mmgraph.data.split_dataset`.
        seed: Of the random splits.

    Returns:
        ``(train, val, test)`` and the report.

    Raises:
        UserError: Naming file and row; bad rows all in one line.

    Example:
        >>> import os, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> rows = ["customer;sku", ";tea", *(f"ann;{item}" for item in "abcd")]
        >>> _ = path.write_text(os.linesep.join(rows))
        >>> form = TableFormat({"user": "customer", "item": "sku"}, separator=";")
        >>> splits, report = import_dataset(
        ...     path, form=form, bad_rows="drop", split="per_user"
        ... )
        >>> report.taken, [(each.kind, each.rows) for each in report.left]
        (4, [('empty user id', 1)])
    """
    if bad_rows not in BAD_ROWS:
        raise UserError(f"bad rows is {bad_rows!r}", f"write {' or '.join(BAD_ROWS)}")
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}", f"choose among {', '.join(SPLITS)}")
    check_duplicates(duplicates)
    if min_rating is not None and not math.isfinite(min_rating):
        raise UserError(f"the smallest rating is {min_rating}", "write a number")
    if min_interactions < 0:
        what = f"the fewest interactions are {min_interactions}"
        raise UserError(what, "write a whole number from 0")
    form = form or TableFormat()
    if not isinstance(source, Sources):
        source = find_sources(Path(source), form)
    files = {**source.features, **{n: Path(p) for n, p in (features or {}).items()}}
    choice = {"min_rating": min_rating, "since": since, "until": until}
    dated = since is not None or until is not None or form.times is not None
    times = split in BY_TIME or "time" in form.columns or dated
    raw, left, rows = _read(source, choice, by_label=split == "label", times=times)
    if bad_rows == "error":
        refuse_bad(left)
    log_bad(left, rows, Path(source.tables[0][0]).name)
    if not len(raw):
        what = f"none of the {rows} rows is taken: {left[0].what or left[0].kind}"
        fix = "look at the separator and the columns that are named"
        raise UserError(what, fix, path=left[0].path, row=left[0].first_row)
    table = parse_interactions(raw, duplicates=duplicates, times=times)
    left += _repeats(len(raw) - len(table.row), duplicates)
    id_columns = find_id_columns(files, table.item_codes.names, id_column)
    # MMRec's ids have gaps where rows were left out; row = item still holds.
    table = replace(table, is_numbered=table.is_numbered and not left)
    left_features: dict[str, list[LeftRows]] = {}

    def read(name: str, path: Path) -> FeatureMatrix:
        column, drop = id_columns.get(name), bad_rows == "drop"
        matrix, left_features[name] = read_import_features(path, column, drop=drop)
        log_bad(left_features[name], len(matrix.values), path.name)
        return matrix

    data = catalogue_of(table, files, read=read)
    if min_interactions > 1:
        core = k_core(data, min_interactions)
        left += _outside(data, core, min_interactions)
        data = core
    report = ImportReport(
        files=[file.name for file, _ in source.tables],
        rows=rows,
        taken=data[INTERACTS].edge_index.size(1),
        left=left,
        features={
            name: {
                "file": path.name,
                "ids": id_columns.get(name),
                "not_read": _not_read(path, id_columns.get(name)),
                "left": [each.to_json() for each in left_features[name]],
            }
            for name, path in files.items()
        },
    )
    return split_dataset(data, split, seed=seed, path=table.path), report


def _read(
    source: Sources, choice: dict[str, Any], *, by_label: bool, times: bool
) -> tuple[RawTable, list[LeftRows], int]:
    """The good rows of all tables, what was left out, and how many rows there were."""
    tables, left, rows = [], [], 0
    for path, form in source.tables:
        rated = choice["min_rating"] is not None or "rating" in form.columns
        own_label = by_label and not source.splits
        roles = ["user", "item", *(["split"] if own_label else []), "time"]
        raw = read_raw_table(path, [*roles, *(["rating"] if rated else [])], form)
        _check_roles(raw, {**choice, "time_format": form.times})
        rows += len(raw) + sum(len(fault.positions) for fault in raw.bad)
        if form.times is not None:
            raw, unread = read_written_times(raw, form.times)
            left += unread
        table, own_left = clean(raw, times=times, **choice)
        tables.append(table)
        left += own_left
    splits = source.splits if by_label else ()
    return concatenate(tables, splits, source.tables[0][0].parent), left, rows


def _check_roles(raw: RawTable, choice: dict[str, Any]) -> None:
    """Refuse a table without a column that an option reads."""
    for option, value in choice.items():
        role = "rating" if option == "min_rating" else "time"
        if value is not None and role not in raw.columns:
            what = f"no column of {role}s, which --{option.replace('_', '-')} needs"
            raise UserError(what, f"name it (--{role}-col)", path=raw.path)


def _repeats(rows: int, duplicates: str) -> list[LeftRows]:
    kind = f"pair that occurs again (the {duplicates} is kept)"
    return [LeftRows(kind, rows)] if rows else []


def _outside(data: HeteroData, core: HeteroData, k: int) -> list[LeftRows]:
    rows = data[INTERACTS].edge_index.size(1) - core[INTERACTS].edge_index.size(1)
    users, items = (
        int(data[kind].num_nodes) - int(core[kind].num_nodes) for kind in (USER, ITEM)
    )
    kind = f"outside the {k}-core ({users} users and {items} items)"
    return [LeftRows(kind, rows)] if users or items else []


def _not_read(path: Path, id_column: str | None) -> list[str]:
    """Columns beside ids with a name of their own that are no features."""
    if id_column is None or path.suffix.lower() not in (*SEPARATORS, ".parquet"):
        return []
    is_text = path.suffix.lower() in SEPARATORS
    schema = read_text_numbers(path).schema if is_text else read_schema(path)
    taken = {field.name for field in features_beside(schema, id_column)}
    return [name for name in schema.names if name not in {id_column, *taken}]
