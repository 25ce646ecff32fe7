"""Pictures of items: files that are known before a request comes."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

from mmgraph.data.formats.layout import visible_files
from mmgraph.data.formats.tables.item_table import read_item_table
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError

#: Most bytes of a picture that is shown.
MOST_PICTURE_BYTES = 2**23
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
_LONGEST_START = 12


class Picture(NamedTuple):
    """The content of a picture file and its media type."""

    content: bytes
    media_type: str


def pictures_in(folder: str | Path) -> dict[str, Path]:
    """The pictures of a folder by their names without the suffix, which are item ids.

    Args:
        folder: The folder; other files are not looked at. Of two pictures of a name,
            ``tea.jpg`` and ``tea.png``, the first by its name is taken.

    Raises:
        UserError: If it is no folder, cannot be read, or has no picture.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("tea.JPG", "tea.png", "notes.txt"):
        ...     (folder / name).touch()
        >>> {item: path.name for item, path in pictures_in(folder).items()}
        {'tea': 'tea.JPG'}
    """
    folder = Path(folder)
    fix = "give the folder of the pictures"
    if not folder.is_dir():
        raise UserError("no such folder", fix, path=folder)
    found: dict[str, Path] = {}
    for path in visible_files(folder):
        if path.suffix.lower() in SUFFIXES:
            found.setdefault(path.stem, path)
    if not found:
        what = f"no picture ({', '.join(SUFFIXES)})"
        raise UserError(what, fix, path=folder)
    return found


def pictures_of_table(
    table: str | Path,
    form: TableFormat | None = None,
    *,
    root: str | Path | None = None,
    duplicates: str = "error",
) -> dict[str, Path]:
    r"""Path of each item's picture, by its id as text.

    Args:
        table: A ``.csv``, ``.tsv`` or ``.parquet`` with an item per row; rows without
            an id or a path are left out.
        form: How it is written.
        root: Folder that the paths are relative to; by default that of the table.
        duplicates: What to do about an item in several rows.

    Raises:
        UserError: If the table cannot be read, or no row has a path.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "items.csv"
        >>> _ = path.write_text("item_id,image\n007,tea.jpg\n")
        >>> pictures_of_table(path, root="photos")
        {'007': PosixPath('photos/tea.jpg')}
    """
    items = read_item_table(table, "picture", form, duplicates=duplicates)
    folder = items.path.parent if root is None else Path(root)
    names = map(str, items.ids.tolist())
    return {n: folder / path for n, path in zip(names, items.contents, strict=True)}


def media_type(start: bytes) -> str | None:
    r"""The kind of picture that a file holds, by its first twelve bytes.

    Returns:
        That of PNG, JPEG, WebP or GIF, None of anything else.

    Example:
        >>> media_type(b"\x89PNG\r\n\x1a\n...."), media_type(b"<svg>")
        ('image/png', None)
    """
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if start.startswith(b"RIFF") and start[8:_LONGEST_START] == b"WEBP":
        return "image/webp"
    return None


def is_picture(path: Path) -> bool:
    """True of a file that :func:`read_picture` reads.

    Example:
        >>> is_picture(Path("nowhere.jpg"))
        False
    """
    return _read(path, _LONGEST_START) is not None


def read_picture(path: Path) -> Picture | None:
    """A picture as it lies in its file; nothing of it is decoded.

    Args:
        path: The file.

    Returns:
        None if there is no such file, or it is none of the four kinds, or larger than
        :data:`MOST_PICTURE_BYTES`.

    Example:
        >>> read_picture(Path("nowhere.jpg")) is None
        True
    """
    return _read(path, MOST_PICTURE_BYTES)


def _read(path: Path, most: int) -> Picture | None:
    """The first bytes of a picture."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_PICTURE_BYTES:
            return None  # a pipe would be waited for
        with path.open("rb") as file:
            content = file.read(most)
    except (OSError, ValueError):  # a path may hold no NUL
        return None
    kind = media_type(content[:_LONGEST_START])
    return None if kind is None else Picture(content, kind)
