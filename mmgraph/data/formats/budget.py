"""One budget for every reader: what a file may claim before memory is taken.

A file may fill 256 MiB, or 200 times its own size where that is more, and never more
than the memory that is free. Features of noise grow 1.1 times when they are read, codes
and sparse ones up to about 100 times; zeros and one-hot rows grow 1,000 times and more,
but up to 7,000 items of 4,096 dimensions fit into the 256 MiB. A file that was made to
exhaust memory grows 500 times (deflate) to 100,000 times (zstd, run lengths).
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from mmgraph.errors import UserError

MAX_RATIO = 200
ALWAYS_ALLOWED = 2**28
# NumPy and torch write these two; zipfile unpacks others without a bound.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CGROUP = Path("/sys/fs/cgroup")


def check_budget(
    path: str | Path, declared: int, *, what: str = "", size: int | None = None
) -> None:
    """Refuse a file that would take far more memory than its size, or than is free.

    Args:
        path: The file.
        declared: Bytes that it is about to take in memory, all parts together.
        what: Part of the file, for the message.
        size: Bytes that these are stored in; by default the size of the file.

    Raises:
        UserError: If the bytes are too many.

    Example:
        >>> check_budget("a.npz", 5_000_000_000, size=1_000_000)
        Traceback (most recent call last):
        mmgraph.errors.UserError: a.npz: declares 5000000000 bytes in 1000000 - save \
it again without compression
    """
    stored = Path(path).stat().st_size if size is None else size
    name = f"{what} " if what else ""
    if declared > max(MAX_RATIO * stored, ALWAYS_ALLOWED):
        raise UserError(
            f"{name}declares {declared} bytes in {stored}",
            "save it again without compression",
            path=path,
        )
    free = free_memory()
    if free is not None and declared > free:
        raise UserError(
            f"{name}takes {declared} bytes of memory, and {free} are free",
            "free some, or read it on a larger machine",
            path=path,
        )


def check_zip(path: str | Path, members: Iterable[str] | None = None) -> None:
    """Refuse a zip archive (``.npz``, ``.pt``) whose parts are not worth their memory.

    Args:
        path: The archive.
        members: Names of the parts that will be read; by default all.

    Raises:
        UserError: If it is damaged, packed otherwise than NumPy and torch do, or too
            large unpacked (:func:`check_budget`).

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "bomb.pt"
        >>> with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        ...     archive.writestr("data/0", bytes(2**28 + 1))
        >>> try:
        ...     check_zip(path)
        ... except UserError as error:
        ...     print(error.what.partition(" in ")[0])
        data/0 declares 268435457 bytes
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise UserError(
            f"damaged archive ({error})", "save it again", path=path
        ) from error
    wanted = None if members is None else set(members)
    read = [info for info in infos if wanted is None or info.filename in wanted]
    for info in read:
        if info.compress_type not in _METHODS:
            raise UserError(
                f"{info.filename} is packed by method {info.compress_type}",
                "save it again with numpy or torch",
                path=path,
            )
    if read:
        largest = max(read, key=lambda info: info.file_size)
        others = f", with {len(read) - 1} more," if len(read) > 1 else ""
        stored = sum(info.compress_size for info in read)
        check_budget(
            path,
            sum(info.file_size for info in read),
            what=f"{largest.filename}{others}",
            size=min(stored, Path(path).stat().st_size),
        )


def free_memory() -> int | None:
    """Bytes of memory that this process can still take; None where it is not known.

    Example:
        >>> free_memory() is None or free_memory() > 0
        True
    """
    known = [
        free for free in (_free_of_machine(), _free_of_group()) if free is not None
    ]
    return min(known, default=None)


def _free_of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _free_of_group() -> int | None:
    """What a container leaves; caches of files that it counts can be given back."""
    try:
        limit = int((_CGROUP / "memory.max").read_text("ascii"))
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        lines = (_CGROUP / "memory.stat").read_text("ascii").splitlines()
        cached = dict(line.split() for line in lines).get("inactive_file", 0)
    except (OSError, ValueError):  # no limit is the word "max"
        return None
    return max(limit - used + int(cached), 0)
