"""Files that are whole or absent: atomic replacement, append-only JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file by new content; a reader sees the old or the new, never a part.

    Args:
        path: The file; its folder is made.
        content: Bytes, or text that is written as UTF-8.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomic(folder / "a.txt", "whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would hide the file
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_json(path, {"a": 1})
        >>> json.loads(path.read_text())
        {'a': 1}
    """
    write_atomic(path, json.dumps(value, indent=2) + "\n")


def append_json_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one line of JSON and wait until the disk has it.

    A line that a killed process left torn is cut off first, so at most the line that
    was being written is ever lost.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> append_json_line(path, {"a": 1})
        >>> append_json_line(path, {"a": 2})
        >>> read_json_lines(path)
        [{'a': 1}, {'a': 2}]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")
        file.truncate(len(whole[0]) + len(whole[1]))
        file.write(json.dumps(value).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines; a missing file has none, and a torn last line is left out.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_text('{"a": 1}' + chr(10) + '{"a": ')
        >>> read_json_lines(path)
        [{'a': 1}]
    """
    if not path.exists():
        return []
    whole = path.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line]
