"""The files of a benchmark, which finds them again after an interruption.

=====================  ============================================================
``results.jsonl``      a line per finished run
``selection.jsonl``    a line per grid point with its validation value
``per_user/``          test metrics of each user of each run
``history/``           a file per run with a line per epoch, as ``mmgraph train`` has it
``selected/``          trained parameters of grid points that may yet be chosen; gone
                       when the benchmark ends
=====================  ============================================================
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.bench.leftovers import clear_leftovers
from mmgraph.bench.records import GridPoint, ResultLine
from mmgraph.checksum import add_zip_checksum, file_has_checksum
from mmgraph.files import (
    append_json_line,
    read_json_lines,
    to_json_lines,
    write_atomic,
)
from mmgraph.train.checkpoint import FILE_NAME, has_checkpoint

RESULTS, SELECTION, PER_USER, HISTORY, SELECTED = (
    "results.jsonl",
    "selection.jsonl",
    "per_user",
    "history",
    "selected",
)
VALID = "valid_recall@20"
USER_METRICS = ("recall@20", "ndcg@20")


def read_results(out: Path) -> list[ResultLine]:
    """Lines of ``results.jsonl``.

    Raises:
        UserError: If a line is not JSON, or has no key.

    Example:
        >>> read_results(Path("nowhere"))
        []
    """
    lines: Any = read_json_lines(out / RESULTS, needed=("key",))
    return list(lines)


def read_per_user(
    out: Path, lines: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, np.ndarray]]:
    """Test metrics of each user by key of the run, where they were kept.

    Example:
        >>> read_per_user(Path("nowhere"), [{"key": "a"}])
        {}
    """
    paths = {line["key"]: out / PER_USER / f"{line['key']}.npz" for line in lines}
    tables = {}
    for key, path in paths.items():
        if path.exists():
            file_has_checksum(path)
            with np.load(path, allow_pickle=False) as table:
                tables[key] = {name: table[name] for name in table.files}
    return tables


def read_histories(
    out: Path, lines: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the training history by key of the run, where they were kept.

    Example:
        >>> read_histories(Path("nowhere"), [{"key": "a"}])
        {}
    """
    paths = {line["key"]: out / HISTORY / f"{line['key']}.jsonl" for line in lines}
    return {key: read_json_lines(p) for key, p in paths.items() if p.exists()}


def _move_aside(paths: Sequence[Path]) -> None:
    """Rename files as far as they are there, never over what was moved before."""
    for n in count(1):
        ending = ".previous" if n == 1 else f".previous-{n}"
        moved = {path: path.with_name(path.name + ending) for path in paths}
        if not any(new.exists() for new in moved.values()):
            break
    for path, new in moved.items():
        if path.exists():
            os.replace(path, new)


class BenchFolder:
    """The files of one benchmark; every write leaves them whole.

    Args:
        path: The folder.
        resume: Keep the finished runs of the folder. Otherwise they are moved aside to
            ``*.previous``, a second time to ``*.previous-2`` and so on.

    Example:
        >>> import tempfile
        >>> folder = BenchFolder(Path(tempfile.mkdtemp()))
        >>> folder.add_result({"key": "a"})
        >>> folder.is_done("a"), folder.lines()
        (True, [{'key': 'a'}])
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        if not resume:
            _move_aside([path / RESULTS, path / SELECTION])
            self.drop_all()
        kept = (path / SELECTED).glob("*")
        for part in (path, path / PER_USER, path / HISTORY, *kept):
            clear_leftovers(part)
        points = read_json_lines(path / SELECTION, needed=("key", VALID))
        self.done = {line["key"] for line in self.lines()}
        self.tried: dict[str, float | None] = {p["key"]: p[VALID] for p in points}

    def lines(self) -> list[ResultLine]:
        """The results so far."""
        return read_results(self.path)

    def is_done(self, key: str) -> bool:
        """True if the run has its line of results."""
        return key in self.done

    def value(self, key: str) -> float:
        """Validation metric of a grid point; minus infinity where it diverged."""
        value = self.tried[key]
        return float("-inf") if value is None else value

    def add_result(
        self,
        line: ResultLine,
        per_user: Mapping[str, np.ndarray] | None = None,
        history: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add a finished run; its line comes last, so that it vouches for the rest."""
        key = line["key"]
        if self.is_done(key):
            return
        if per_user is not None:
            arrays: dict[str, Any] = {k: per_user[k] for k in ("user", *USER_METRICS)}
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)
            content = add_zip_checksum(buffer.getvalue())
            write_atomic(self.path / PER_USER / f"{key}.npz", content)
        if history is not None:
            rows = to_json_lines(history)
            write_atomic(self.path / HISTORY / f"{key}.jsonl", rows)
        append_json_line(self.path / RESULTS, line)
        self.done.add(key)
        self.drop(key)

    def add_point(
        self, point: GridPoint, grid_keys: Sequence[str], trained: bytes | None
    ) -> None:
        """Add a grid point; what was trained is kept while none of its stage is better.

        Args:
            point: Its line.
            grid_keys: Keys of all points of its stage, in their order.
            trained: Its checkpoint, None where it diverged.
        """
        key = point["key"]
        if trained is not None:
            write_atomic(self.path / SELECTED / key / FILE_NAME, trained)
        append_json_line(self.path / SELECTION, point)
        self.tried[key] = point["valid_recall@20"]
        known = [each for each in grid_keys if each in self.tried]
        best = max(known, key=self.value)  # of equal ones the first, as the choice
        for each in known:
            if each != best:
                self.drop(each)

    def selected(self, key: str) -> Path | None:
        """Folder of the kept checkpoint of a grid point, if there is one."""
        folder = self.path / SELECTED / key
        return folder if has_checkpoint(folder) else None

    def drop(self, key: str) -> None:
        """Forget the checkpoint of a grid point."""
        folder = self.path / SELECTED / key
        (folder / FILE_NAME).unlink(missing_ok=True)
        for empty in (folder, folder.parent):
            with suppress(OSError):  # not there, or others are in it
                empty.rmdir()

    def drop_all(self) -> None:
        """Forget all checkpoints of grid points."""
        for file in (self.path / SELECTED).glob(f"*/{FILE_NAME}"):
            self.drop(file.parent.name)

    def sort(self, results: Sequence[str], points: Sequence[str]) -> None:
        """Bring lines into the order of these keys.

        Lines of other keys stay where they are, and a file in order is not touched.
        """
        for name, keys in ((RESULTS, results), (SELECTION, points)):
            rank = {key: n for n, key in enumerate(dict.fromkeys(keys))}
            lines = read_json_lines(self.path / name)
            ours = [n for n, line in enumerate(lines) if line["key"] in rank]
            ordered = sorted((lines[n] for n in ours), key=lambda x: rank[x["key"]])
            sorted_lines = list(lines)
            for n, line in zip(ours, ordered, strict=True):
                sorted_lines[n] = line
            if sorted_lines != lines:
                write_atomic(self.path / name, to_json_lines(sorted_lines))
