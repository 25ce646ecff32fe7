"""How a table is written, and which column is which."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmgraph.errors import UserError

#: Names of the item ids in a table or file with an item per row.
ID_NAMES = ("id", "ids", "item", "items", "item_id", "item_ids", "itemid")
# Accepted spellings of each role, compared in lower case.
COLUMNS = {
    "user": ("user", "user_id", "userid", "uid"),
    "item": ("item", "item_id", "itemid", "iid"),
    "split": ("split", "label", "x_label"),
    "time": ("timestamp", "time", "date"),
    "rating": ("rating", "ratings", "stars", "score", "overall"),
    "id": ID_NAMES,
    "title": ("title", "titles", "item_title"),
    "picture": ("image", "picture", "image_path", "picture_path"),
}
_OPTIONAL = ("split", "time", "rating")
# What names a column on the command line, where it is not --ROLE-col.
_OPTION = {"id": "--item-col"}
SEPARATORS = {".inter": "\t", ".tsv": "\t", ".csv": ","}
TEXT = "utf-8"
_NO_TEXT = {
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz", ".zst"), "unpack it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save it as CSV"),
}
_TYPED = re.compile(r"^(.+):(?:token|token_seq|float|float_seq)$")


@dataclass(frozen=True)
class TableFormat:
    """What the name and the header of a table do not say.

    Attributes:
        columns: Name of the column of a role, where it is none of :data:`COLUMNS`.
        separator: Characters between columns of text, or ``"tab"``; by default those
            of the suffix.
        encoding: Of text.
        header: False where the first row holds data; columns are ``"1"``, ``"2"``, ...
        times: How times are written, as ``%d/%m/%Y %H:%M``; by default as numbers or
            ISO dates.

    Raises:
        UserError: If the separator cannot be one.

    Example:
        >>> TableFormat({"user": "customer"}, separator=";").separator
        ';'
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    encoding: str = TEXT
    header: bool = True
    times: str | None = None

    def __post_init__(self) -> None:
        """Check the separator."""
        if self.separator is not None and (
            not self.separator or set(self.separator) & set('"\r\n\0')
        ):
            raise UserError(
                f"{self.separator!r} cannot separate columns",
                "write the characters between two columns, such as ';' or 'tab'",
            )

    def separator_of(self, path: Path) -> str:
        """Separator of a text file.

        Raises:
            UserError: If neither this nor the suffix says it.

        Example:
            >>> TableFormat().separator_of(Path("a.csv"))
            ','
        """
        suffix = path.suffix.lower()
        if suffix in _NO_TEXT:
            what = f"{suffix} holds no text with columns"
            raise UserError(what, _NO_TEXT[suffix], path=path)
        if self.separator is not None:
            return {"tab": "\t", "\\t": "\t"}.get(self.separator, self.separator)
        if suffix not in SEPARATORS:
            raise UserError(
                f"unknown table format {suffix!r}",
                f"use one of {', '.join((*SEPARATORS, '.parquet'))}, or name the "
                "separator",
                path=path,
            )
        return SEPARATORS[suffix]


def untyped(header: Sequence[str]) -> list[str] | None:
    """Names of a header in which every name has a type, as RecBole writes them.

    Args:
        header: Names of the columns.

    Returns:
        The names without the types; None where one has none.

    Example:
        >>> untyped(["user_id:token", "rating:float"])
        ['user_id', 'rating']
    """
    found = [_TYPED.match(name) for name in header]
    return [match[1] for match in found if match] if all(found) else None


def find_columns(
    header: Sequence[str],
    roles: Collection[str],
    path: Path,
    named: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Name in the file of each role; split, time and rating may be missing.

    Args:
        header: Names of the columns, with RecBole's types or without.
        roles: Keys of :data:`COLUMNS` to look for.
        path: The file, for messages.
        named: Column of a role that the user named; it must be there. None: there is
            no way to name one.

    Raises:
        UserError: If a column is missing, or two are called as one role.

    Example:
        >>> find_columns(["uid", "sku"], ["user", "item"], Path("a"), {"item": "sku"})
        {'user': 'uid', 'item': 'sku'}
    """
    plain = untyped(header)
    pairs = list(zip(plain or header, header, strict=True))
    own = dict(pairs)
    can_name = named is not None
    named = {role: _named(name, own, path) for role, name in (named or {}).items()}
    if len(set(named.values())) < len(named):
        raise UserError(
            f"one column for two roles: {', '.join(map(repr, named.values()))}",
            "name a column of its own for each",
            path=path,
            row=1,
        )
    columns = {}
    for role in roles:
        spellings = COLUMNS[role]
        if plain is not None and role == "split":  # RecBole's label is a click
            spellings = tuple(set(spellings) - {"label"})
        names = [
            name
            for short, name in pairs
            if short.lower() in spellings and name not in named.values()
        ]
        if role in named:
            names = [name for name in header if name == named[role]]
        if len(names) > 1:
            raise UserError(
                f"several {role} columns: {', '.join(names)}",
                f"keep one{_or_name(role) if can_name else ''}",
                path=path,
                row=1,
            )
        if names:
            columns[role] = names[0]
        elif role not in _OPTIONAL:
            raise _missing(role, header, path, _or_name(role) if can_name else "")
    return columns


def _named(name: str, of_plain: Mapping[str, str], path: Path) -> str:
    """Column that the user named: as it stands, else in any letter case."""
    spelled = [n for n in (name, *of_plain) if n.lower() == name.lower()]
    for short in spelled:
        if short in of_plain:
            return of_plain[short]
        if short in of_plain.values():
            return short
    raise UserError(
        f"no column {name!r} among {', '.join(map(repr, of_plain.values()))}",
        "name one of these",
        path=path,
        row=1,
    )


def _or_name(role: str) -> str:
    return f", or say which it is ({_OPTION.get(role, f'--{role}-col')})"


def _missing(role: str, header: Sequence[str], path: Path, or_name: str) -> UserError:
    fix = f"name it one of {', '.join(COLUMNS[role])}{or_name}"
    only = header[0] if len(header) == 1 else ""
    marks = [mark for mark in (";", "\t", ",", "|", "::") if mark in only]
    if marks:
        fix = f"choose the separator {marks[0]!r}{' (--sep)' if or_name else ''}"
    return UserError(
        f"no {role} column among {', '.join(map(repr, header))}",
        fix,
        path=path,
        row=1,
    )
