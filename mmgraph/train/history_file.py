"""The history of a training run on disk, a line per epoch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgraph.checksum import CHECKSUM
from mmgraph.errors import UserError
from mmgraph.files import to_json_line, to_json_lines, unwritable, write_atomic

FILE_NAME = "history.jsonl"


class HistoryFile:
    """Grows by a line per epoch; a checkpoint holds its extent, not the lines.

    A resumed run cuts off the lines after its checkpoint, so a kill at any moment
    leaves a history that agrees with it.

    Args:
        path: The file; the first epoch of a new run replaces one that is there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "history.jsonl"
        >>> file = HistoryFile(path)
        >>> file.append({"epoch": 1})
        >>> extent = file.extent()
        >>> file.append({"epoch": 2})
        >>> HistoryFile(path).cut(extent, fix="start again")
        [{'epoch': 1}]
        >>> path.read_bytes().count(b"epoch")
        1
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epochs, self._sha256 = 0, hashlib.sha256()

    def extent(self) -> dict[str, Any]:
        """Number of lines so far, and their SHA-256."""
        return {"epochs": self._epochs, "sha256": self._sha256.hexdigest()}

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the line of an epoch. It is on the disk after :meth:`sync`."""
        line = to_json_line(row)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab" if self._epochs else "wb") as file:
                file.write(line)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._take(line, 1)

    def sync(self) -> None:
        """Wait until the disk has all lines."""
        try:
            with open(self.path, "rb+") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.path, error) from error

    def replace(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows that a checkpoint holds itself, as up to version 0.3."""
        content = to_json_lines(rows)
        write_atomic(self.path, content)
        self._take(content, len(rows))

    def cut(self, extent: Mapping[str, Any], *, fix: str) -> list[dict[str, Any]]:
        """Cut off what follows an extent, and read the rest.

        Args:
            extent: As :meth:`extent` gave it.
            fix: What to do if the file is damaged, for the message.

        Raises:
            UserError: If the file cannot be read, or is not that of the extent.
        """
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
            content = b"".join(lines[: extent["epochs"]])
            if hashlib.sha256(content).hexdigest() != extent["sha256"]:
                raise UserError("is not that of the checkpoint", fix, path=self.path)
            os.truncate(self.path, len(content))
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            raise UserError(what, fix, path=self.path) from error
        self._take(content, extent["epochs"])
        rows = [json.loads(line) for line in lines[: extent["epochs"]]]
        return [{k: v for k, v in row.items() if k != CHECKSUM} for row in rows]

    def _take(self, content: bytes, epochs: int) -> None:
        self._sha256.update(content)
        self._epochs += epochs
