"""Files that are whole or absent, and append-only JSON lines."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
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

_log = logging.getLogger(__name__)

_FIX_ROW = "delete the row, or put it right"
_FIX_READ = "check the path and its rights"
_OTHER_PLACE = "choose another place"
_TEMPORARY = ".mmgraph-part"  # ending of a file that is being written
_CHUNK = 2**16
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_file(path: Path) -> None:
    """Refuse a place where no file can be written, or where it would cost another.

    An ordinary file may lie there; it is replaced. Nothing is changed by this.

    Args:
        path: The file to be written.

    Raises:
        UserError: If the place has no name, or is a folder, a link, a device or a
            pipe, or its folder is none or cannot be written.

    Example:
        >>> check_file(Path("/dev/null"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: /dev/null: is a device - choose another place
    """
    mode = mode_of(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise UserError(f"is {kind_of(mode)}", _OTHER_PLACE, path=path)
    check_parent(path)


def check_parent(path: Path) -> None:
    """Refuse a place whose folder is none, or may not be written.

    Raises:
        UserError: If it is so.
    """
    above = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not os.path.isdir(above):
        raise UserError("is no folder", _OTHER_PLACE, path=above)
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError("may not be written by this user", _OTHER_PLACE, path=above)


def kind_of(mode: int) -> str:
    """What lies at a place, in words.

    Example:
        >>> kind_of(Path("/dev/null").stat().st_mode)
        'a device'
    """
    return _KINDS[stat.S_IFMT(mode)]


def mode_of(path: Path) -> int | None:
    """Kind and rights of what lies at a place, links not followed; None for nothing.

    Raises:
        UserError: If no file can have this name.

    Example:
        >>> mode_of(Path("nowhere")) is None
        True
    """
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unwritable(path, error) from error
    except ValueError as error:  # a NUL in it
        raise UserError(
            f"{str(path)!r} is no name of a file", "choose another name"
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file by new content; a reader sees the old or the new, never a part.

    What a killed process left in its folder is cleared.

    Args:
        path: The file; its folder is made.
        content: Bytes, or text that is written as UTF-8.

    Raises:
        UserError: If it cannot be written, or something else than a file lies there.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomic(folder / "a.txt", "whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    raw = content.encode() if isinstance(content, str) else content
    write_atomic_by(path, lambda file: file.write(raw))


def write_atomic_by(path: Path, write: Callable[[io.FileIO], object]) -> None:
    """:func:`write_atomic` of what a function writes, which need not fit into memory.

    Args:
        path: The file; its folder is made.
        write: Called once with the open file.

    Raises:
        UserError: If it cannot be written, or something else than a file lies there.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> write_atomic_by(path, lambda file: [file.write(b"a"), file.write(b"b")])
        >>> path.read_text()
        'ab'
    """
    check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_temporary(path.parent)
        while not _write_beside(path, write):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


class _WholeWrites(io.FileIO):
    """A file that writes all that it is given, or raises."""

    def write(self, content: Any) -> int:
        _write_all(super().write, content)
        return memoryview(content).nbytes


def _write_beside(path: Path, write: Callable[[io.FileIO], object]) -> bool:
    """Write a file under another name, locked meanwhile, and rename it.

    False if another writer cleared it before it was locked.
    """
    handle, temporary = tempfile.mkstemp(_TEMPORARY, f".{path.name}.", path.parent)
    try:
        with _WholeWrites(handle, "wb") as file:
            is_locked = _lock(file, wait=True)
            if not os.fstat(handle).st_nlink:
                return False
            write(file)
            os.fsync(handle)
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would hide it
            if is_locked:
                os.replace(temporary, path)
        if not is_locked:  # Windows renames no open file
            os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):  # it has its name already
            os.unlink(temporary)
        raise
    return True


def clear_temporary(folder: Path) -> None:
    """Remove what :func:`write_atomic` left half-written where it was killed.

    A file that a living process is writing is locked by it, and stays.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".run.json.x1y2z3_4.mmgraph-part").touch()
        >>> clear_temporary(folder)
        >>> list(folder.iterdir())
        []
    """
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.name.endswith(_TEMPORARY) and entry.is_file(follow_symlinks=False):
            with suppress(OSError), open(entry.path, "rb", buffering=0) as file:
                if _lock(file, wait=False):
                    os.unlink(entry.path)


def _lock(file: io.FileIO, *, wait: bool) -> bool:
    """Lock an open file until it is closed; false if it is locked, or cannot be."""
    try:
        import fcntl  # not on Windows

        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _write_all(write: Callable[[Any], int], content: bytes) -> None:
    """Write without a buffer, which would try again when the file is closed."""
    rest = memoryview(content)
    while rest:
        rest = rest[write(rest) :]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
    return _object(_content(path, fix), (), path, None, fix)


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
    was being written is ever lost. Only the last line is read.

    Raises:
        UserError: If it cannot be written, or the last line break is damaged.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> append_json_line(path, {"a": 1})
        >>> append_json_line(path, {"a": 2})
        >>> read_json_lines(path)
        [{'a': 1}, {'a': 2}]
    """
    line = to_json_line(value)
    check_file(path)
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b", buffering=0) as file:
            end = _end_of_whole_lines(file, path)
            file.truncate(end)
            file.seek(max(end - 1, 0))
            is_open = file.read(1) not in (b"", b"\n")  # its line break was lost
            try:
                _write_all(file.write, b"\n" + line if is_open else line)
                os.fsync(file.fileno())
            except (
                OSError
            ):  # what an interruption leaves is whole, or cut off next time
                file.truncate(end)
                if is_new:
                    path.unlink()
                raise
    except OSError as error:
        raise unwritable(path, error) from error


def read_json_lines(
    path: Path,
    *,
    needed: Sequence[str] = (),
    fault_of: Callable[[dict[str, Any]], str | None] | None = None,
    fix: str = _FIX_ROW,
) -> list[dict[str, Any]]:
    """Read JSON lines; a missing file has none.

    A last line without its line break is read if it is whole. One that a killed writer
    left torn is left out, with a warning.

    Args:
        path: The file.
        needed: Keys that every line must have.
        fault_of: Says in words what is wrong with a line, None where nothing is.
        fix: Remedy for a damaged line, for the message.

    Raises:
        UserError: If another line is not a JSON object, lacks a key, or has a fault.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_text('{"a": 1}' + chr(10) + '{"a": ')
        >>> read_json_lines(path)
        [{'a': 1}]
    """
    if not path.exists():
        return []
    lines, content = [], _content(path)
    whole = _whole_lines(content, path)
    if len(whole) < len(content):
        _log.warning("%s: its last line is torn and left out", path)
    for row, line in enumerate(whole.split(b"\n"), start=1):
        if not line.strip():
            continue
        value = _object(line, needed, path, row, fix)
        fault = fault_of(value) if fault_of is not None else None
        if fault is not None:
            raise UserError(fault, fix, path=path, row=row)
        lines.append(value)
    return lines


def _content(path: Path, fix: str = _FIX_READ) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise UserError(what, fix, path=path) from error


def _end_of_whole_lines(file: io.FileIO, path: Path) -> int:
    """Number of bytes up to the last line break, found from the end."""
    start = end = file.seek(0, os.SEEK_END)
    last = b""
    while start and b"\n" not in last:
        start = max(end - _CHUNK - 2 * len(last), 0)
        file.seek(start)
        last = file.read(end - start)
    if MARK_END in last.rpartition(b"\n")[2]:  # it may be damaged: say which row
        return len(_whole_lines(path.read_bytes(), path))
    return start + len(_whole_lines(last, path))


def _whole_lines(content: bytes, path: Path) -> bytes:
    """All but a last line that a killed writer left torn.

    If nothing but its line break is lost, it counts as whole. What follows a whole line
    is no torn end of it, but a damaged line break.
    """
    lines, line_break, last = content.rpartition(b"\n")
    end = to_json_line({})[-3:]
    if MARK_END in last and not end.startswith(last.rpartition(MARK_END)[2]):
        row = lines.count(b"\n") + 2 if line_break else 1
        raise UserError("its line break is damaged", _FIX_ROW, path=path, row=row)
    if last.endswith(b"}") and has_checksum(last, path, fix=_FIX_ROW):
        return content
    return lines + line_break


def _integer(digits: str) -> int:
    """An integer that a number with a fraction can hold, too."""
    if len(digits) > 300:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _object(
    content: bytes, needed: Sequence[str], path: Path, row: int | None, fix: str
) -> dict[str, Any]:
    has_checksum(content, path, row=row, fix=fix)
    try:
        value = json.loads(content, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", fix, path=path, row=row) from error
    if not isinstance(value, dict):
        raise UserError("not a JSON object", fix, path=path, row=row)
    value.pop(CHECKSUM, None)
    for key in needed:
        if key not in value:
            raise UserError(f"the line has no {key!r}", fix, path=path, row=row)
    return value
