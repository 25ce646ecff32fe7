"""Options that the commands of ``mmgraph data`` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Split = Annotated[
    str,
    typer.Option(help="label, per_user, temporal, leave_one_out, cold_items, none."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace a data set that mmgraph made at OUT.")
]
Out = Annotated[Path, typer.Option(help="Folder to make.")]
Duplicates = Annotated[
    str, typer.Option(help="A pair that occurs again: error, first or last.")
]


def by_modality(options: list[str], form: str) -> dict[str, str]:
    """Options ``NAME=VALUE`` as pairs whose names are those of modalities.

    Args:
        options: The options.
        form: How they are written, for messages.

    Raises:
        UserError: If one is written otherwise, or a name would not come back.

    Example:
        >>> by_modality(["visual=64"], "NAME=DIM")
        {'visual': '64'}
    """
    from mmgraph.data.formats.layout import check_modality_names
    from mmgraph.errors import UserError

    pairs = [text.partition("=") for text in options]
    for text, (name, _, value) in zip(options, pairs, strict=True):
        if not (name and value):
            raise UserError(f"cannot read {text!r}", f"write {form}")
    check_modality_names(name for name, *_ in pairs)
    return {name: value for name, _, value in pairs}
