"""What a killed process left half-written beside the files it was to replace."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

#: As ``tempfile`` names what :mod:`mmgraph.files` writes first: ``.run.json.x1y2z3_4``.
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
_SUFFIXES = {".json", ".jsonl", ".safetensors", ".npz", ".md", ".html", ".csv"}


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a folder whose writer is gone.

    Only those of JSON, JSON lines, tensors, arrays and reports, which are what lies in
    run directories and in folders of results.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / ".run.json.x1y2z3_4").write_text("{")
        >>> _ = (folder / ".mine").write_text("")
        >>> clear_leftovers(folder)
        >>> [path.name for path in folder.iterdir()]
        ['.mine']
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or Path(match[1]).suffix not in _SUFFIXES:
            continue
        with suppress(OSError):
            path.unlink()
