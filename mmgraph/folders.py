"""Folders that we make, fill or replace, and what of others must not be touched.

A folder that may be replaced holds ``mmgraph.json``: the names of its files with their
SHA-256. Only such a folder is replaced, only if it holds these files, unchanged, and no
others, and only by another of its kind, which one of its files tells. Whoever reads a
file that is listed checks it first. Folders without ``mmgraph.json`` were made by the
user, and are read as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from mmgraph.checksum import file_digest
from mmgraph.errors import UserError
from mmgraph.files import (
    check_file,
    check_parent,
    kind_of,
    mode_of,
    read_json,
    unwritable,
    write_json,
)
from mmgraph.lock import locked

CONTENTS = "mmgraph.json"
_ABOUT = "Files that mmgraph wrote and their SHA-256. Delete this if you change one."
_ANOTHER = "choose another folder"
_ANOTHER_NAME = "choose another name"
_EDITED = f"copy it again; if it was changed on purpose, delete {CONTENTS}"
#: A file that each folder of a kind has, and the others that lie there. Those that are
#: under ``mmgraph.json`` are not named here: it lists them.
_FOLDERS = {
    "run.json": ("model.safetensors", "history.jsonl", "checkpoint/*"),
    "results.jsonl": ("report.html", "per_user/*", "selected/*/*"),
    "diagnosis.json": ("report.html",),
    "request.json": ("numbers.json", "section.json"),
    "*/section.json": ("report.html",),
    "question.json": ("tune.json", "tune.journal"),
    "graph.json": ("edge_index.npy", "similarity.npy"),
    "manifest.json": ("block-*.safetensors", "survey.safetensors", "features.json"),
    "settings.json": ("part-*.safetensors",),
}
#: Folders above a file that may be of such a kind: ``selected/KEY/state.safetensors``.
_DEPTH = 3
#: Endings of what a data folder takes for the features of a modality.
_FEATURES = (".npy", ".npz", ".parquet", ".safetensors")


def check_output_file(path: Path, *, inputs: Iterable[Path]) -> None:
    """Refuse a file that a command must not write, before any work is done.

    Args:
        path: The file.
        inputs: All files that the command reads, also those that no option names.

    Raises:
        UserError: As :func:`~mmgraph.files.check_file`, or if the file is an input,
            would be taken for data in a folder of data, or is there and part of a
            folder that we made: an export, a run, a benchmark, a graph, ...

    Example:
        >>> check_output_file(Path("graph.pt"), inputs=[Path("visual.npy")])
    """
    check_file(path)
    if any(_is_same(path, file) for file in inputs):
        raise UserError("is read by this command", _ANOTHER_NAME, path=path)
    if _is_data(path.name) and any(map(_is_table, _names(path.parent))):
        raise UserError("would be part of the data there", _ANOTHER, path=path)
    mark = _mark_of(path)
    if mark is not None:
        what = f"is part of what mmgraph made there ({mark})"
        raise UserError(what, _ANOTHER, path=path)


def check_output_folder(
    path: Path, *, first: Iterable[str] = (), others: Iterable[str] = ()
) -> None:
    """Refuse a folder that a command must not fill, before any work is done.

    Files of others may lie in it, unless they are called as those that we would write.

    Args:
        path: The folder; it need not exist.
        first: Files of which one is there wherever we have written before.
        others: Further files that we write.

    Raises:
        UserError: If it is the working folder or the home of the user, no folder, or
            cannot be written; if it holds data, or files of others with such names.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> check_output_folder(folder / "run", first=["run.json"])
        >>> (folder / "report.html").touch()
        >>> try:
        ...     check_output_folder(folder, first=["a.json"], others=["report.html"])
        ... except UserError as error:
        ...     print(error.what)
        holds a report.html that is not from this command
    """
    _check_place(path)
    mode = mode_of(path)
    if mode is None:
        check_parent(path)
        return
    if not path.is_dir():  # a link to a folder will do
        raise UserError(f"is {kind_of(mode)}, no folder", _ANOTHER, path=path)
    check_parent(path / "file")
    if any(map(_is_table, _names(path))):
        raise UserError("is a folder of data", _ANOTHER, path=path)
    if not any(os.path.lexists(path / name) for name in first):
        for name in others:
            if os.path.lexists(path / name):
                what = f"holds a {name} that is not from this command"
                raise UserError(what, _ANOTHER, path=path)


def check_new_folder(
    path: Path,
    *,
    replace: str | None = None,
    inputs: Iterable[Path] = (),
    fix: str = _ANOTHER,
) -> None:
    """Refuse a folder that cannot be made, or must not be replaced.

    Args:
        path: The folder.
        replace: It may take the place of one that we made and in which this file is,
            which no other kind of folder has.
        inputs: Files and folders that the command reads.
        fix: What to do if it exists.

    Raises:
        UserError: If something lies there that is not to be replaced.

    Example:
        >>> check_new_folder(Path("nowhere"))
    """
    _check_place(path)
    mode = mode_of(path)
    if mode is None:
        check_parent(path)
        return
    if replace is None:
        raise UserError("exists already", fix, path=path)
    if not path.is_dir() or path.is_symlink():
        raise UserError(f"is {kind_of(mode)}, no folder", _ANOTHER, path=path)
    if any(_is_in(path, file) for file in inputs):
        raise UserError("holds what this command reads", _ANOTHER, path=path)
    check_parent(path)
    _check_ours(path, replace)


@contextmanager
def new_folder(path: Path, *, replace: str | None = None) -> Iterator[Path]:
    """Fill a folder that appears under its name when the block ends, or not at all.

    One that is replaced is renamed first. If the process is killed between the two
    renames, the next call, or :func:`check_contents`, brings it back.

    Args:
        path: The folder to make; those above it are made.
        replace: Replace a folder that :func:`list_contents` was called for, if it
            lists this file; see :func:`check_new_folder`.

    Yields:
        An empty folder beside it, to be filled.

    Raises:
        UserError: As :func:`check_new_folder`; if another process makes it, or it
            cannot be written.

    Example:
        >>> import tempfile
        >>> out = Path(tempfile.mkdtemp()) / "out"
        >>> with new_folder(out) as folder:
        ...     _ = (folder / "a.txt").write_text("whole")
        >>> (out / "a.txt").read_text()
        'whole'
    """
    check_new_folder(path, replace=replace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(_beside(path, "lock"), path):
            _clear(path)
            check_new_folder(path, replace=replace)
            new, old = _beside(path, "new"), _beside(path, "old")
            try:
                new.mkdir()
                yield new
                check_new_folder(path, replace=replace)  # it may have come meanwhile
                _exchange(new, path, old)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
    except OSError as error:
        raise unwritable(path, error) from error


def _exchange(new: Path, path: Path, old: Path) -> None:
    is_there = path.exists()
    if is_there:
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if is_there:
            os.replace(old, path)
        raise
    if is_there:
        _remove(old)


def _recover(path: Path) -> None:
    """Bring a folder back that :func:`new_folder` was killed while replacing."""
    if not os.path.lexists(path) and os.path.lexists(_beside(path, "old")):
        with locked(_beside(path, "lock"), path):
            _clear(path)


def _clear(path: Path) -> None:
    """Bring back, or remove, what a killed process left; the caller holds the lock."""
    new, old = _beside(path, "new"), _beside(path, "old")
    if old.exists() and not os.path.lexists(path):
        os.replace(old, path)
    elif old.exists():
        _remove(old)
    if new.exists():
        shutil.rmtree(new)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.mmgraph-{what}")


def list_contents(folder: Path) -> None:
    """Write ``mmgraph.json``, which lists the files of a folder with their SHA-256.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("whole")
        >>> list_contents(folder)
        >>> check_content(folder / "a.txt")
    """
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    write_json(folder / CONTENTS, {"about": _ABOUT, "files": files})


def data_files(folder: Path) -> list[Path]:
    """Files of a folder that may be read where it is a data set.

    Example:
        >>> data_files(Path("nowhere"))
        []
    """
    return [folder / n for n in _names(folder) if _is_data(n) or n == CONTENTS]


def check_contents(folder: Path) -> None:
    """Refuse a folder that lacks a file of its ``mmgraph.json``.

    One that :func:`new_folder` was killed while replacing is brought back first.

    Raises:
        UserError: If it lacks one, or another process is replacing it.

    Example:
        >>> check_contents(Path("nowhere"))
    """
    _recover(folder)
    for name in _contents(folder):
        if not (folder / name).is_file():
            raise UserError("is not there any more", _EDITED, path=folder / name)


def check_content(path: Path) -> None:
    """Refuse a file that differs from what ``mmgraph.json`` beside it says.

    Raises:
        UserError: If it does.

    Example:
        >>> check_content(Path("nowhere/interactions.csv"))
    """
    expected = _contents(path.parent).get(path.name)
    if expected is not None and file_digest(path) != expected:
        raise UserError("damaged, or changed since it was made", _EDITED, path=path)


def _contents(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that ``mmgraph.json`` lists; of none without it."""
    path = folder / CONTENTS
    if not path.is_file():
        return {}
    fix = f"delete {CONTENTS} if the other files are right"
    files = read_json(path, fix=fix).get("files")
    if not isinstance(files, dict) or not all(
        _is_name(name) and isinstance(digest, str) for name, digest in files.items()
    ):
        raise UserError("no list of files", fix, path=path)
    return files


def _is_name(name: str) -> bool:
    return os.path.basename(name) == name and name.strip(".") != ""


def _check_ours(folder: Path, mark: str) -> None:
    """Refuse a folder of another kind, or with more than its ``mmgraph.json`` lists."""
    there = {path.name for path in folder.iterdir()}
    listed = _contents(folder)
    for name in sorted(there - {CONTENTS, *listed}):
        what = f"holds {name!r}, which is not from mmgraph"
        raise UserError(what, f"{_ANOTHER}, or move that file away", path=folder)
    if listed and mark not in listed:
        what = f"has no {mark}: another command made it"
        raise UserError(what, _ANOTHER, path=folder)
    for name, digest in listed.items():
        path = folder / name
        if name in there and (path.is_symlink() or file_digest(path) != digest):
            what = "was changed since mmgraph made it"
            raise UserError(what, f"{_ANOTHER}, or move it away", path=path)


def _remove(folder: Path) -> None:
    """Remove the files that ``mmgraph.json`` lists, it itself last, and the folder."""
    for name in _contents(folder):
        (folder / name).unlink(missing_ok=True)
    (folder / CONTENTS).unlink(missing_ok=True)
    folder.rmdir()


def _check_place(path: Path) -> None:
    """Refuse an empty name, the working folder, the root and the home of the user."""
    places = {
        os.getcwd(): "is the working folder",
        os.path.expanduser("~"): "is your home folder",
        os.path.abspath(os.sep): "is the root of all folders",
    }
    mode_of(path)  # or the name has a NUL in it
    what = places.get(os.path.realpath(path))
    if what is not None:
        raise UserError(what, "name a folder of its own", path=path)


def _mark_of(path: Path) -> str | None:
    """The file that tells the folder of ours that an existing file is part of.

    A name alone does not: a user may call a report ``graph.json``. So beside a mark
    another file of its kind must lie.
    """
    if not path.exists():
        return None
    listed = _contents(path.parent)
    if path.name in listed or (listed and path.name == CONTENTS):
        return CONTENTS
    for folder in path.absolute().parents[:_DEPTH]:
        name = path.absolute().relative_to(folder).as_posix()
        for mark, others in _FOLDERS.items():
            if fnmatchcase(name, mark):
                if any(any(folder.glob(other)) for other in others):
                    return mark
            elif any(fnmatchcase(name, other) for other in others):
                marks = sorted(folder.glob(mark))
                if marks:
                    return marks[0].relative_to(folder).as_posix()
    return None


def _is_table(name: str) -> bool:
    """True of a table of interactions; a folder with one is a folder of data."""
    return name.lower().startswith("interactions.") or name.lower().endswith(".inter")


def _is_data(name: str) -> bool:
    return _is_table(name) or name.lower().endswith(_FEATURES)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one is not there, or ids in place of a file
        return False


def _is_in(folder: Path, file: Path) -> bool:
    try:
        return file.resolve().is_relative_to(folder.resolve())
    except ValueError:  # ids in place of a file
        return False


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
