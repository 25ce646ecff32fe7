"""Files and folders that are whole or absent, and append-only JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmgraph.checksum import (
    CHECKSUM,
    MARK_END,
    PLACEHOLDER,
    add_checksum,
    has_checksum,
)
from mmgraph.errors import UserError

_FIX_ROW = "delete the row, or put it right"


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


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name when the block ends, or not at all.

    Args:
        path: The folder to make; those above it are made.
        replace: Replace a folder that exists.

    Yields:
        An empty folder beside it, to be filled.

    Raises:
        UserError: If the folder exists and is not to be replaced, or cannot be written.

    Example:
        >>> out = Path(tempfile.mkdtemp()) / "out"
        >>> with new_folder(out) as folder:
        ...     _ = (folder / "a.txt").write_text("whole")
        >>> (out / "a.txt").read_text()
        'whole'
    """
    if path.exists() and not replace:
        raise UserError("exists already", "choose another folder", path=path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f".{path.name}."
        ) as beside:
            new, old = Path(beside) / "new", Path(beside) / "old"
            new.mkdir()
            yield new
            if path.exists() and replace:
                os.replace(path, old)
            try:
                os.replace(new, path)
            except OSError:
                if old.exists():  # or it would go with the temporary folder
                    os.replace(old, path)
                raise
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UserError:
    """The error of a file or folder that the system refused to write.

    Example:
        >>> print(unwritable(Path("a.pt"), OSError(28, "No space left on device")))
        a.pt: cannot be written (No space left on device) - check space and permissions
    """
    return UserError(
        f"cannot be written ({error.strerror or error})",
        "check space and permissions",
        path=path,
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON with its checksum, atomically.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_json(path, {"a": 1})
        >>> read_json(path)
        {'a': 1}
    """
    text = json.dumps({**value, CHECKSUM: PLACEHOLDER}, indent=2) + "\n"
    write_atomic(path, add_checksum(text.encode()))


def read_json(path: Path, *, fix: str = "make it again") -> dict[str, Any]:
    """Read what :func:`write_json` wrote, or JSON by hand, which has no checksum.

    Args:
        path: The file.
        fix: What to do if it is damaged, for the message.

    Raises:
        UserError: If it cannot be read, is damaged, or is no JSON object.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise UserError(what, fix, path=path) from error
    return _object(content, (), path, None, fix)


def to_json_line(value: Mapping[str, Any]) -> bytes:
    """One line of JSON with its checksum and its line break.

    Example:
        >>> to_json_line({"a": 1})[:23]
        b'{"a": 1, "checksum": "m'
    """
    text = json.dumps({**value, CHECKSUM: PLACEHOLDER})
    return add_checksum(text.encode()) + b"\n"


def to_json_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as the content of a ``.jsonl`` file.

    Example:
        >>> to_json_lines([{"epoch": 1}, {"epoch": 2}]).count(b"epoch")
        2
    """
    return b"".join(map(to_json_line, records))


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
        file.truncate(len(_whole_lines(file.read(), path)))
        file.write(to_json_line(value))
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path, *, needed: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read JSON lines; a missing file has none, and a torn last line is left out.

    Args:
        path: The file.
        needed: Keys that every line must have.

    Raises:
        UserError: If another line is not a JSON object, or lacks a key.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_text('{"a": 1}' + chr(10) + '{"a": ')
        >>> read_json_lines(path)
        [{'a': 1}]
    """
    if not path.exists():
        return []
    rows = enumerate(_whole_lines(path.read_bytes(), path).split(b"\n"), start=1)
    return [
        _object(line, needed, path, row, _FIX_ROW) for row, line in rows if line.strip()
    ]


def _whole_lines(content: bytes, path: Path) -> bytes:
    """All but a last line that a killed writer left torn.

    What follows a whole line is no torn end of it, but a damaged line break.
    """
    lines, line_break, last = content.rpartition(b"\n")
    end = to_json_line({})[-3:]
    if MARK_END in last and not end.startswith(last.rpartition(MARK_END)[2]):
        row = lines.count(b"\n") + 2 if line_break else 1
        raise UserError("its line break is damaged", _FIX_ROW, path=path, row=row)
    return lines + line_break


def _object(
    content: bytes, needed: Sequence[str], path: Path, row: int | None, fix: str
) -> dict[str, Any]:
    has_checksum(content, path, row=row, fix=fix)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", fix, path=path, row=row) from error
    if not isinstance(value, dict):
        raise UserError("not a JSON object", fix, path=path, row=row)
    value.pop(CHECKSUM, None)
    for key in needed:
        if key not in value:
            raise UserError(f"the line has no {key!r}", fix, path=path, row=row)
    return value
