"""A file that is about to be read."""

from __future__ import annotations

import stat
from pathlib import Path

from mmgraph.errors import UserError
from mmgraph.folders import check_content


def check_input_file(path: Path) -> None:
    """Refuse a path that is no file, or an empty one.

    Args:
        path: The file.

    Raises:
        UserError: If it does not exist, is a folder, a pipe or a device, or is empty.

    Example:
        >>> check_input_file(Path("nowhere.npy"))
        Traceback (most recent call last):
        mmgraph.errors.UserError: nowhere.npy: no such file - check the path
    """
    try:
        state = path.stat()
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            what = "is a link to nowhere" if path.is_symlink() else "no such file"
        raise UserError(what, "check the path", path=path) from error
    if stat.S_ISDIR(state.st_mode):
        raise UserError("is a folder, not a file", "check the path", path=path)
    if not stat.S_ISREG(state.st_mode):
        raise UserError("is no file but a pipe or a device", "save it first", path=path)
    if state.st_size == 0:
        raise UserError("the file is empty", "write it again", path=path)
    check_content(path)
