"""The manifest of a work folder: the matrix, options and versions of its blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from mmgraph.errors import UserError
from mmgraph.options import NonNegativeInt, Option, PositiveInt, Range, fits

Manifest = dict[str, dict[str, Any]]

#: The number of a block has six digits in the name of its file.
MAX_BLOCKS = 10**6
_REQUIRED: dict[str, Any] = {
    "input.rows": Annotated[int, Range(0, 2**32 - 2)],
    "input.columns": PositiveInt,
    "input.dtype": str,
    "input.sha256": str,
    "options.k": PositiveInt,
    "options.metric": Literal["cosine", "ip", "l2"],
    "options.include_self": bool,
    "blocks.rows": PositiveInt,
    "blocks.count": Annotated[int, Range(1, MAX_BLOCKS)],
}
# Folders of the first versions do not have these.
_OPTIONAL: dict[str, Any] = {
    "options.nan": Literal["refuse", "isolate"],
    "options.duplicates": Literal["keep", "collapse"],
    "isolated.zero_rows": NonNegativeInt,
    "isolated.nan_rows": NonNegativeInt,
    "isolated.collapsed_rows": NonNegativeInt,
}


def check_manifest(manifest: Any, path: Path, fix: str) -> None:
    """Refuse a manifest that lacks a value, or has one that cannot be.

    Args:
        manifest: What was read.
        path: Its file, for the message.
        fix: Remedy, for the message.

    Raises:
        UserError: The first fault.

    Example:
        >>> check_manifest({"blocks": 3}, Path("manifest.json"), "build anew")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: manifest.json: 'blocks' must be a table of values by \
name - build anew
    """
    for group, values in manifest.items():
        if not isinstance(values, dict):
            what = f"{group!r} must be a table of values by name"
            raise UserError(what, fix, path=path)
    values = flat(manifest)
    for name, annotation in (_REQUIRED | _OPTIONAL).items():
        if name not in values and name in _REQUIRED:
            raise UserError(f"has no {name!r}", fix, path=path)
        if name in values and not fits(values[name], annotation):
            domain = Option(name, annotation, None).domain
            raise UserError(f"{name!r} must be {domain}", fix, path=path)
    for name, value in values.items():
        small = not isinstance(value, int) or abs(value) < 2**63
        if not (small and fits(value, bool | str | int | float | None)):
            raise UserError(f"{name!r} must be one plain value", fix, path=path)
    rows, each = values["input.rows"], values["blocks.rows"]
    if values["blocks.count"] != num_blocks(rows, each):
        what = f"{values['blocks.count']} blocks do not hold {rows} rows"
        raise UserError(what, fix, path=path)


def num_blocks(num_rows: int, block_rows: int) -> int:
    """Blocks of a matrix; one of an empty matrix.

    Example:
        >>> num_blocks(5, 2), num_blocks(0, 2)
        (3, 1)
    """
    return max(1, -(-num_rows // block_rows))


def flat(manifest: Manifest) -> dict[str, Any]:
    """The values of a manifest by their dotted names.

    Example:
        >>> flat({"blocks": {"rows": 2, "count": 3}})
        {'blocks.rows': 2, 'blocks.count': 3}
    """
    return {
        f"{group}.{name}": value
        for group, values in manifest.items()
        for name, value in values.items()
    }
