"""One process at a time in a folder."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mmgraph.errors import UserError
from mmgraph.files import unwritable

#: In the folder that is locked, while it is.
LOCK = ".mmgraph.lock"


@contextmanager
def locked_folder(folder: Path, *, wait: float = 0) -> Iterator[None]:
    """Keep all other processes and threads that ask, too, out of a folder.

    The folder is made if it is not there; if it was and nothing has come into it, it
    goes again. The operating system gives the lock of a killed process free.

    Args:
        folder: The folder.
        wait: Seconds to wait for it.

    Raises:
        UserError: If another holds it, naming the process, or it cannot be made.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> with locked_folder(folder):
        ...     [path.name for path in folder.iterdir()]
        ['.mmgraph.lock']
        >>> folder.exists()
        False
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        with locked(folder / LOCK, folder, wait=wait):
            yield
    finally:
        if is_new:
            with suppress(OSError):  # something is in it
                folder.rmdir()


@contextmanager
def locked(file: Path, path: Path, *, wait: float = 0) -> Iterator[None]:
    """Hold a lock by a file that is there as long.

    Args:
        file: The file of the lock.
        path: What it stands for, for the message.
        wait: Seconds to wait for it.

    Raises:
        UserError: If another holds it, or the file cannot be made.
    """
    lock = FileLock(file, timeout=wait)
    try:
        _acquire(lock, file)
        file.write_text(_this_process(), "utf-8")
    except Timeout:
        raise UserError(
            f"{_holder(file)} is writing there",
            "wait until it has ended, or choose another folder",
            path=path,
        ) from None
    except OSError as error:
        lock.release()
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        with suppress(OSError):  # gone with its folder
            file.unlink()
        lock.release()


def _acquire(lock: FileLock, file: Path) -> None:
    """Acquire it, once more where the holder was just taking the file away."""
    try:
        lock.acquire()
    except Timeout:
        if file.exists():
            raise
        lock.acquire()


def _this_process() -> str:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {now},"


def _holder(file: Path) -> str:
    """What the holder wrote about itself, as far as it is there by now."""
    try:
        text = file.read_text("utf-8", errors="replace")[:200]
    except OSError:
        text = ""
    return text if text.isprintable() and text else "another process"
