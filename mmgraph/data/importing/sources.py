"""Tables and features of a folder that another library reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmgraph.data.formats.columns import LABELS
from mmgraph.data.formats.layout import (
    TABLE,
    TABLE_SUFFIXES,
    feature_files,
    interactions_file,
    is_mmrec,
    visible_files,
)
from mmgraph.data.formats.tables.table_format import COLUMNS, TableFormat, untyped
from mmgraph.data.label_split import SPLIT_NAMES
from mmgraph.errors import UserError

_SPLITS = {name: split for name, split in LABELS.items() if not name.isdigit()}
# Elliot's files have no header; the last two columns may be missing.
_ELLIOT = ("user", "item", "rating", "time")


@dataclass(frozen=True)
class Sources:
    """What an import reads.

    Attributes:
        tables: Each table and how it is written.
        splits: Split of each table, 0, 1 or 2; empty where the tables do not say it.
        features: Feature file of each modality.
    """

    tables: tuple[tuple[Path, TableFormat], ...]
    splits: tuple[int, ...] = ()
    features: dict[str, Path] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """All files, and folders of vectors."""
        return [*(path for path, _ in self.tables), *self.features.values()]


def find_sources(path: Path, form: TableFormat | None = None) -> Sources:
    """A table, or what a folder holds.

    A folder is read as, in this order: our own (``interactions.*``); one with a table
    of each split, such as Elliot's ``train.tsv``, ``val.tsv`` and ``test.tsv``, or
    RecBole's ``NAME.train.inter``, ...; one with an ``.inter`` of MMRec or RecBole.

    Args:
        path: The table or the folder.
        form: How the tables are written, where they do not say it.

    Raises:
        UserError: If there is nothing, or the folder has no table, or several that
            have no split.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("train.tsv", "test.tsv"):
        ...     _ = (folder / name).write_text("ann")
        >>> [path.name for path in find_sources(folder).files]
        ['train.tsv', 'test.tsv']
    """
    form = form or TableFormat()
    if not os.path.exists(path):
        raise UserError("no such file or folder", "check the path", path=path)
    if not path.is_dir():
        return Sources(((path, form),))
    features = feature_files(path, mmrec=is_mmrec(path))
    splits = {} if _has_table(path) else _split_tables(path)
    if not splits:
        return Sources(((interactions_file(path), form),), features=features)
    tables = tuple((file, _elliot(file, form)) for file in splits.values())
    features = {n: f for n, f in features.items() if f not in splits.values()}
    return Sources(tables, tuple(splits), features)


def _has_table(folder: Path) -> bool:
    tables = [p for p in visible_files(folder) if p.suffix.lower() in TABLE_SUFFIXES]
    return any(path.stem.lower() == TABLE for path in tables)


def _split_tables(folder: Path) -> dict[int, Path]:
    """Table of each split: the last word of the name says which."""
    found: dict[int, Path] = {}
    for path in visible_files(folder):
        split = _SPLITS.get(path.stem.lower().rpartition(".")[2])
        if split is None or path.suffix.lower() not in TABLE_SUFFIXES:
            continue
        if split in found:
            raise UserError(
                f"{found[split].name} and {path.name} are both the "
                f"{SPLIT_NAMES[split]} split",
                "keep one",
                path=folder,
            )
        found[split] = path
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _elliot(path: Path, form: TableFormat) -> TableFormat:
    """The form of a table of a split; Elliot's have no header."""
    if path.suffix.lower() != ".tsv" or form.columns or not form.header:
        return form
    with path.open("rb") as file:
        first = file.readline().decode(form.encoding, "replace")
    header = first.rstrip("\r\n").split(form.separator_of(path))
    names = untyped(header) or header
    if any(name.lower() in COLUMNS["user"] for name in names):
        return form
    columns = {role: str(n + 1) for n, role in enumerate(_ELLIOT[: len(names)])}
    return replace(form, columns=columns, header=False)
