"""The files of a benchmark, which finds them again after an interruption.

=====================  ============================================================
``results.jsonl``      a line per finished run
``selection.jsonl``    a line per grid point with its validation value
``per_user/``          test metrics of each user of each run
``history/``           a file per run with a line per epoch, as ``mmgraph train`` has it
``models/``            a run directory per run, where they are to be kept
``selected/``          trained parameters of grid points that may yet be chosen; gone
                       when the benchmark ends
=====================  ============================================================
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mmgraph.bench.records import (
    LARGEST_METRIC,
    GridPoint,
    ResultLine,
    fault_of_epoch,
    fault_of_point,
    fault_of_result,
    is_key,
)
from mmgraph.checksum import add_zip_checksum, file_has_checksum
from mmgraph.data.formats.budget import check_zip
from mmgraph.errors import UserError
from mmgraph.files import (
    append_json_line,
    clear_temporary,
    read_json_lines,
    to_json_lines,
    write_atomic,
)
from mmgraph.train.checkpoint import FILE_NAME, has_checkpoint
from mmgraph.train.epoch_seed import DRAWS

RESULTS, SELECTION, PER_USER, HISTORY, MODELS, SELECTED = (
    "results.jsonl",
    "selection.jsonl",
    "per_user",
    "history",
    "models",
    "selected",
)
#: One of these is in every folder of a benchmark; the others may be.
FIRST = (RESULTS, f"{RESULTS}.previous")
OTHERS = (
    SELECTION,
    PER_USER,
    HISTORY,
    MODELS,
    SELECTED,
    "leaderboard.md",
    "report.html",
)
_AGAIN = "delete it, or run the benchmark again without --resume"
USER_METRICS = ("recall@20", "ndcg@20")


def read_results(out: Path) -> list[ResultLine]:
    """Lines of ``results.jsonl``.

    Raises:
        UserError: If a line is not JSON, or not what a finished run leaves.

    Example:
        >>> read_results(Path("nowhere"))
        []
    """
    lines: Any = read_json_lines(out / RESULTS, fault_of=fault_of_result)
    return list(lines)


def run_file(out: Path, kind: str, key: Any, suffix: str = "") -> Path:
    """The file or folder of a run in one of the folders of a benchmark.

    Raises:
        UserError: If the key could lead elsewhere.

    Example:
        >>> run_file(Path("out"), HISTORY, "../secret", ".jsonl")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: out: '../secret' is no key of a run - delete its \
line from results.jsonl
    """
    if not is_key(key):
        what = f"{key!r:.80} is no key of a run"
        raise UserError(what, f"delete its line from {RESULTS}", path=out)
    return out / kind / f"{key}{suffix}"


def read_per_user(
    out: Path, lines: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, np.ndarray]]:
    """Test metrics of each user by key of the run, where they were kept.

    Raises:
        UserError: If a file is damaged or holds something else, or those of one data
            set are not of the same users.

    Example:
        >>> read_per_user(Path("nowhere"), [{"key": "a"}])
        {}
    """
    tables: dict[str, dict[str, np.ndarray]] = {}
    users: dict[Any, np.ndarray] = {}
    for line in lines:
        path = run_file(out, PER_USER, line["key"], ".npz")
        if not path.exists():
            continue
        table = _read_table(path)
        first = users.setdefault(line.get("data_sha256"), table["user"])
        if not np.array_equal(first, table["user"]):
            raise UserError("is of other users than the first", _AGAIN, path=path)
        _check_means(table, line, path)
        tables[line["key"]] = table
    return tables


def _read_table(path: Path) -> dict[str, np.ndarray]:
    file_has_checksum(path, fix=_AGAIN)
    check_zip(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            table = {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # whatever a foreign or damaged file provokes
        raise UserError("cannot be read", _AGAIN, path=path) from error
    lacking = [name for name in ("user", *USER_METRICS) if name not in table]
    if lacking:
        raise UserError(f"has no {lacking[0]!r}", _AGAIN, path=path)
    for name, values in table.items():
        if values.shape != (table["user"].size,):
            raise UserError(f"{name!r} is not a value per user", _AGAIN, path=path)
        if not _fits_column(name, values):
            raise UserError(f"{name!r} holds other values", _AGAIN, path=path)
    return table


def _check_means(
    table: Mapping[str, np.ndarray], line: Mapping[str, Any], path: Path
) -> None:
    """Refuse values whose means are not those of the run: they are of another."""
    recorded = line.get("metrics", {}).get("test", {})
    for name in USER_METRICS:
        mean = float(table[name].mean()) if table[name].size else 0.0
        if name in recorded and not math.isclose(
            mean, recorded[name], rel_tol=1e-5, abs_tol=1e-7
        ):
            what = f"{name} is {mean:.6f} on average, the run has {recorded[name]:.6f}"
            raise UserError(what, _AGAIN, path=path)


def _fits_column(name: str, values: np.ndarray) -> bool:
    """True of integers for users, each once, and of ratios for their metrics."""
    if name == "user":
        return values.dtype.kind in "iu" and np.unique(values).size == values.size
    return values.dtype.kind == "f" and bool(
        ((values >= 0) & (values <= LARGEST_METRIC)).all()
    )


def read_histories(
    out: Path, lines: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the training history by key of the run, where they were kept.

    Raises:
        UserError: If a file is damaged, or holds something else than the epochs of its
            run.

    Example:
        >>> read_histories(Path("nowhere"), [{"key": "a"}])
        {}
    """
    histories: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        path = run_file(out, HISTORY, line["key"], ".jsonl")
        if not path.exists():
            continue
        rows = read_json_lines(path, fault_of=fault_of_epoch)
        epochs = [row["epoch"] for row in rows]
        first = 1 if line["epochs"] else 0  # 0: a floor's evaluation
        rows_of_run = max(1, line["epochs"])
        numbered = epochs == list(range(first, first + len(rows)))
        if len(rows) != rows_of_run or not numbered:
            what = f"does not hold epochs 1 to {line['epochs']} of its run"
            raise UserError(what, _AGAIN, path=path)
        histories[line["key"]] = rows
    return histories


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


@dataclass(frozen=True)
class Rival:
    """A point of a stage of a grid, for the question whether it may yet be chosen.

    Args:
        keys: Keys of its runs, one per seed.
        weakness: As :meth:`~mmgraph.bench.recipe.Stage.weakness` gives it.
    """

    keys: tuple[str, ...]
    weakness: tuple[float, ...] = ()


class BenchFolder:
    """The files of one benchmark; every write leaves them whole.

    Args:
        path: The folder.
        resume: Keep the finished runs of the folder. Otherwise they are moved aside to
            ``*.previous``, a second time to ``*.previous-2`` and so on.

    Raises:
        UserError: If a kept file is damaged, or of a version whose seeds drew other
            numbers.

    Example:
        >>> import tempfile
        >>> folder = BenchFolder(Path(tempfile.mkdtemp()))
        >>> folder.is_done("a"), folder.lines()
        (False, [])
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        if not resume:
            _move_aside([path / RESULTS, path / SELECTION])
            self.drop_all()
        kept = (path / SELECTED).glob("*")
        for part in (path, path / PER_USER, path / HISTORY, *kept):
            clear_temporary(part)
        points = read_json_lines(path / SELECTION, fault_of=fault_of_point)
        lines = self.lines()
        for line in lines:
            if line["epochs"] and line.get("draws") != DRAWS:
                version = line["versions"].get("mmgraph", "another version")
                raise UserError(
                    f"holds runs of mmgraph {version}, whose seeds drew other numbers",
                    "choose another --out",
                    path=path,
                )
        self.done = {line["key"] for line in lines}
        self.tried: dict[str, float | None] = {
            p["key"]: p["valid_recall@20"] for p in points
        }

    def lines(self) -> list[ResultLine]:
        """The results so far."""
        return read_results(self.path)

    def is_done(self, key: str) -> bool:
        """True if the run has its line of results."""
        return key in self.done

    def value(self, *keys: str) -> float:
        """Validation metric of a grid point; minus infinity where it diverged.

        Args:
            keys: Keys of its runs; their mean counts.
        """
        values = [self.tried[key] for key in keys]
        known = [value for value in values if value is not None]
        return sum(known) / len(keys) if len(known) == len(keys) else float("-inf")

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
            write_atomic(run_file(self.path, PER_USER, key, ".npz"), content)
        if history is not None:
            rows = to_json_lines(history)
            write_atomic(run_file(self.path, HISTORY, key, ".jsonl"), rows)
        append_json_line(self.path / RESULTS, line)
        self.done.add(key)
        self.drop(key)

    def add_point(
        self, point: GridPoint, rivals: Sequence[Rival], trained: bytes | None
    ) -> None:
        """Add a run of a grid point; what was trained is kept while it may be chosen.

        It no longer may once another point is as good, and as weak.

        Args:
            point: Its line.
            rivals: All points of its stage, in their order.
            trained: Its checkpoint, None where it diverged.
        """
        key = point["key"]
        if trained is not None:
            write_atomic(run_file(self.path, SELECTED, key) / FILE_NAME, trained)
        append_json_line(self.path / SELECTION, point)
        self.tried[key] = point["valid_recall@20"]
        # Of equal ones the first stays, as for the choice.
        known = [each for each in rivals if set(each.keys) <= self.tried.keys()]
        known.sort(key=lambda each: (each.weakness, -self.value(*each.keys)))
        best = float("-inf")
        for each in known:
            value = self.value(*each.keys)
            for run in each.keys if value <= best else ():
                self.drop(run)
            best = max(best, value)

    def selected(self, key: str) -> Path | None:
        """Folder of the kept checkpoint of a grid point, if there is one."""
        folder = run_file(self.path, SELECTED, key)
        return folder if has_checkpoint(folder) else None

    def drop(self, key: str) -> None:
        """Forget the checkpoint of a grid point."""
        folder = run_file(self.path, SELECTED, key)
        (folder / FILE_NAME).unlink(missing_ok=True)
        for empty in (folder, folder.parent):
            with suppress(OSError):  # not there, or others are in it
                empty.rmdir()

    def drop_all(self) -> None:
        """Forget all checkpoints of grid points."""
        for file in (self.path / SELECTED).glob(f"*/{FILE_NAME}"):
            if is_key(file.parent.name):
                self.drop(file.parent.name)

    def sort(self, results: Sequence[str], points: Sequence[str]) -> None:
        """Bring the lines of these keys into their order, behind those of others.

        So a system's last line is of the last call. A file in order is not touched.
        """
        for name, keys in ((RESULTS, results), (SELECTION, points)):
            rank = {key: n for n, key in enumerate(dict.fromkeys(keys))}
            lines = read_json_lines(self.path / name)
            # sorted() is stable: those of others stay in their order.
            sorted_lines = sorted(lines, key=lambda line: rank.get(line["key"], -1))
            if sorted_lines != lines:
                write_atomic(self.path / name, to_json_lines(sorted_lines))
