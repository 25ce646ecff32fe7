"""A SHA-256 inside the file that it is of, so that damage is seen before use.

The file holds one mark, ``mmgraph:sha256:`` + 64 digits + ``:sha256:mmgraph``. The
digits are the SHA-256 of the whole file with zeros in their place. The mark lies where
the format has room for a word: a key of JSON, the metadata of safetensors and Parquet,
the comment of a ZIP archive (``.npz``, ``.pt``). Both ends of the mark are known words,
so a flipped bit in one of them does not make a file look as if it had none. Files
without a mark are taken as they are: they were written before version 0.3.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

from mmgraph.errors import UserError

_MARK_START, MARK_END = b"mmgraph:sha256:", b":sha256:mmgraph"
_ZEROS = b"0" * 64
#: What a writer puts into the file, once, before :func:`add_checksum`.
PLACEHOLDER = (_MARK_START + _ZEROS + MARK_END).decode()
#: The key under which JSON objects carry it.
CHECKSUM = "checksum"
_END_OF_ARCHIVE = b"PK\x05\x06"


def add_checksum(content: bytes) -> bytes:
    """Put the SHA-256 of a content into its placeholder.

    Args:
        content: Bytes that hold :data:`PLACEHOLDER` once.

    Raises:
        ValueError: If they do not.

    Example:
        >>> content = add_checksum(b"weights " + PLACEHOLDER.encode())
        >>> has_checksum(content, "model.bin")
        True
    """
    if content.count(PLACEHOLDER.encode()) != 1:
        raise ValueError("the content must hold the placeholder once")
    digest = hashlib.sha256(content).hexdigest().encode()
    return content.replace(
        _MARK_START + _ZEROS + MARK_END, _MARK_START + digest + MARK_END
    )


def add_zip_checksum(content: bytes) -> bytes:
    """Give a ZIP archive without a comment a checksum as its comment.

    Example:
        >>> import io, zipfile
        >>> buffer = io.BytesIO()
        >>> with zipfile.ZipFile(buffer, "w") as archive:
        ...     archive.writestr("a.txt", "whole")
        >>> has_checksum(add_zip_checksum(buffer.getvalue()), "a.zip")
        True
    """
    if content[-22:-18] != _END_OF_ARCHIVE or content[-2:] != b"\0\0":
        raise ValueError("not a ZIP archive without a comment")
    length = len(PLACEHOLDER).to_bytes(2, "little")
    return add_checksum(content[:-2] + length + PLACEHOLDER.encode())


def has_checksum(
    content: bytes | mmap.mmap,
    path: str | Path,
    *,
    row: int | None = None,
    fix: str = "take a whole copy of it, or make it again",
) -> bool:
    """True if a content carries a checksum and agrees with it; false without one.

    Args:
        content: All bytes of the file, or one of its lines.
        path: The file, for the message.
        row: The line, for the message.
        fix: What to do about damage, for the message.

    Raises:
        UserError: If it carries one and does not agree with it.

    Example:
        >>> has_checksum(b"written by hand", "notes.txt")
        False
        >>> content = add_checksum(b"weights " + PLACEHOLDER.encode())
        >>> has_checksum(content.replace(b"weights", b"Weights"), "model.bin")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: model.bin: damaged: its content does not agree with \
its checksum - take a whole copy of it, or make it again
    """
    head, tail = content.rfind(_MARK_START), content.rfind(MARK_END)
    if head < 0 and tail < 0:
        return False
    start, end = head + len(_MARK_START), tail
    if head >= 0 and end - start == len(_ZEROS):
        with memoryview(content) as view:
            digest = hashlib.sha256(view[:start])
            digest.update(_ZEROS)
            digest.update(view[end:])
        if digest.hexdigest().encode() == content[start:end]:
            return True
    what = "damaged: its content does not agree with its checksum"
    raise UserError(what, fix, path=path, row=row)


def file_has_checksum(
    path: Path, *, fix: str = "take a whole copy of it, or make it again"
) -> bool:
    """:func:`has_checksum` of a file, which is mapped and not read into memory.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.bin"
        >>> _ = path.write_bytes(add_checksum(b"weights " + PLACEHOLDER.encode()))
        >>> file_has_checksum(path)
        True
    """
    with open(path, "rb") as file:
        if not file.seek(0, 2):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return has_checksum(content, path, fix=fix)


def file_digest(path: Path) -> str:
    """SHA-256 of a file that has no room for a checksum of its own, such as ``.npy``.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> _ = path.write_bytes(b"whole")
        >>> file_digest(path)[:16]
        '5d5766cf2d787016'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
