"""Malformed inputs of every kind, each given to the command that reads it.

Damages good files at random: bytes flipped, cut, doubled or put in; cells of tables,
values of JSON, TOML, arrays and tensors replaced by what does not belong there, without
a checksum that would tell. A row per kind of file is printed::

    python -m benchmarks malformed --inputs 500
    python -m benchmarks malformed --kinds recipe.toml --inputs 50 --show

Commands run in this process, after each has read its good input once. What a damaged
file may still be is read: "accepted". CPU seconds and memory (above that before the
command) are the largest of the refused.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmgraph.cli import main as run_command
from mmgraph.data import synthetic, write_dataset

# What stands where something else should.
WORDS = (
    *("", " ", "x", "-1", "0", "1e400", "nan", "NaT", "2020-13-01", "9999-12-31"),
    *("9" * 30, "9" * 5000, "../x", "a\0b", '"', "\r", "\ufeff", "é" * 300, "train"),
)
VALUES = (
    *(None, True, -1, 0, 1.5, 2**63, 10**30, 10**4000, float("nan"), float("inf")),
    *("", "x", "../x", "/etc/passwd", "a\0b", "x" * 5000, [], [[]], ["x", 3], {}),
    *({"a": 1}, {"": None}, [0.5] * 999),
)
DTYPES = [
    "f2",
    "f4",
    "f8",
    ">f4",
    "i1",
    "i8",
    "u8",
    "?",
    "c8",
    "U3",
    "S2",
    "M8[s]",
    "V4",
]


def damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    """The bytes with a few of them changed."""
    changed = bytearray(content)
    how = draw.choice(["flip", "flip", "cut", "insert", "remove", "repeat", "blank"])
    start, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    if how == "flip":
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif how == "insert":
        changed[start:start] = draw.randbytes(draw.randint(1, 9))
    elif how == "repeat":
        changed[start:start] = content[start:end]
    elif how == "blank":
        changed[start:end] = bytes(end - start)
    else:
        del changed[start : end if how == "remove" else None]
    return bytes(changed)


def damaged_text(draw: random.Random, text: str) -> str:
    """The text with a word of it, or what stands between words, replaced."""
    parts = re.split(r"([\w.@+-]+)", text)
    for _ in range(draw.randint(1, 2)):
        parts[draw.randrange(len(parts))] = draw.choice(WORDS)
    return "".join(parts)


def damaged_value(draw: random.Random, value: Any) -> Any:
    """A value of JSON, arrays and tensors with a part of it replaced."""
    value = copy.copy(value)
    if isinstance(value, dict | list) and value and draw.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = draw.choice(keys)
        if draw.random() < 0.8:
            value[key] = damaged_value(draw, value[key])
        else:
            del value[key]
        return value
    if isinstance(value, torch.Tensor):
        array = damaged_array(draw, value.numpy())
        with contextlib.suppress(TypeError, ValueError):  # torch has no such
            return torch.from_numpy(np.ascontiguousarray(array))
        return value.flatten()[:1]
    return draw.choice(VALUES)


def damaged_array(draw: random.Random, array: np.ndarray) -> np.ndarray:
    """An array of another type or shape, or with another value."""
    how = draw.choice(["dtype", "shape", "value", "value"])
    if how == "dtype":
        with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError):
            warnings.simplefilter("ignore")
            return array.astype(draw.choice(DTYPES))
    if how == "shape":
        rows = np.atleast_1d(array)
        shapes = [rows[:0], rows[1:], array[None], array.ravel(), rows[..., :1]]
        return draw.choice([*shapes, np.repeat(rows, 3, axis=0), rows[0]])
    array = array.copy()
    if array.dtype.kind in "iuf" and array.size:
        values = [-1, 127] + [np.nan, np.inf, 3e38] * (array.dtype.kind == "f")
        array.flat[draw.randrange(array.size)] = draw.choice(values)
    return array


def by_bytes(draw: random.Random, path: Path) -> None:
    """Damage the bytes of a file."""
    path.write_bytes(damaged_bytes(draw, path.read_bytes()))


def by_words(draw: random.Random, path: Path) -> None:
    """Damage the words of a text file."""
    path.write_text(damaged_text(draw, path.read_text("utf-8")), "utf-8", newline="")


def by_values(draw: random.Random, path: Path) -> None:
    """Damage what a file holds, and write it as by hand, without a checksum."""
    suffix = path.suffix
    if suffix in (".json", ".jsonl"):
        lines = path.read_text().splitlines() if suffix == ".jsonl" else []
        lines = lines or [path.read_text()]
        number = draw.randrange(len(lines))
        value = json.loads(lines[number])
        value.pop("checksum", None)
        lines[number] = json.dumps(damaged_value(draw, value))
        path.write_text("\n".join(lines) + "\n")
    elif suffix == ".npy":
        np.save(path, damaged_array(draw, np.load(path)), allow_pickle=True)
    elif suffix == ".npz":
        with np.load(path) as archive:
            arrays = dict(archive)
        name = draw.choice(list(arrays))
        arrays[name] = damaged_array(draw, arrays[name])
        np.savez(path, allow_pickle=True, **arrays)
    elif suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            notes = {k: v for k, v in (file.metadata() or {}).items()}
        notes.pop("checksum", None)
        tensors = load_file(path)
        name = draw.choice(list(tensors))
        tensors[name] = damaged_value(draw, tensors[name])
        save_file(tensors, path, notes)
    elif suffix == ".pt":
        stores = damaged_value(draw, torch.load(path, weights_only=True))
        torch.save(stores, path)
    elif suffix == ".parquet":
        damage_columns(draw, path)


def damage_columns(draw: random.Random, path: Path) -> None:
    """Replace a column of a Parquet file by one of another name, type or value."""
    table = pq.read_table(path)
    number = draw.randrange(table.num_columns)
    name, n = table.column_names[number], table.num_rows
    new = draw.choice(
        [
            [None] * n,
            [1.5] * n,
            [2**62] * n,
            [b"\xff"] * n,
            ["x"] * n,
            [["a"]] * n,
            [[1.0]] * n,
            [{"a": 1}] * n,
            [float("nan")] * n,
            [*table.column(number).to_pylist()[:-1], None],
        ]
    )
    name = draw.choice([name, name, name, "user", "item_id", "", "x" * 999])
    pq.write_table(table.set_column(number, name, pa.array(new)), path)


RECIPE = """models = ["MF-BPR", "VBPR+CLEAR"]
[defaults]
lr = 0.01
epochs = 1
[system."MF-BPR"]
source = "here"
options = {embedding_dim = 4}
grid = {lr = [0.1, 0.01], weight_decay = [0.5]}
"""
# Commands that make the good inputs, and those that read each kind.
MADE_BY = (
    "train MF-BPR:embedding_dim=4,epochs=1 --data {data} --out {folder}/run",
    "bench MF-BPR VBPR --data {data} --epochs 1 --seeds 2 --out {folder}/results",
    "knn blocks {folder}/f.npy --work {folder}/work --k 3",
    "knn build {folder}/f.npy --k 3 --out {folder}/graph.pt",
    "knn build {folder}/f.npy --k 3 --out {folder}/graph.npz",
)
BUILD = "knn build {} --k 3 --out {new}.pt"
READ_BY = {
    "table-csv": "data info {}",
    "table-csv, by time": "data info {} --split temporal",
    "table-parquet": "data info {}",
    "table-parquet, by time": "data info {} --split temporal",
    **dict.fromkeys(("f.npy", "f.npz", "f.safetensors", "f.parquet"), BUILD),
    **dict.fromkeys(("f.pt", "f.csv"), BUILD),
    "recipe.toml": "--recipe {} --epochs 1 --seeds 1 --device cpu --out {new}",
    "run": "evaluate {} --device cpu",
    "results": "compare {} --device cpu",
    "graph.pt": "knn info {}",
    "graph.npz": "knn info {}",
    "work": "knn join {} --out {new}",
}


@dataclass(frozen=True)
class Kind:
    """A kind of input: what is damaged, how, and the command that reads it.

    ``{}`` in the command is the input and ``{new}`` a path that does not exist.
    """

    good: Path
    command: str
    ways: tuple[Callable[[random.Random, Path], None], ...]


@dataclass
class Found:
    """What a kind's inputs came to."""

    refused: int = 0
    accepted: int = 0
    tracebacks: int = 0
    unexpected: int = 0
    without_path: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    messages: Counter[str] = field(default_factory=Counter)


def good_inputs(folder: Path) -> dict[str, Kind]:
    """Small good inputs of all kinds."""
    *splits, _ = synthetic(num_users=30, num_items=25, interactions_per_user=8)
    data = folder / "data"
    write_dataset(*splits, data)
    (data / "mmgraph.json").unlink(missing_ok=True)  # its checksums would refuse all
    write_tables(data, folder)
    write_features(splits[0]["item"].x_visual.numpy(), folder)
    (folder / "recipe.toml").write_text(RECIPE)
    for line in MADE_BY:
        words = [word.format(folder=folder, data=data) for word in line.split()]
        code, _, error = called([*words, "--device", "cpu", "--quiet"])
        if code:
            raise RuntimeError(error)
    read_by = {
        **READ_BY,
        "recipe.toml": f"bench --data {data} {READ_BY['recipe.toml']}",
    }
    return {
        title: Kind(folder / title.partition(",")[0], f"{command} --quiet", ways(title))
        for title, command in read_by.items()
    }


def ways(title: str) -> tuple[Callable[[random.Random, Path], None], ...]:
    """How inputs of a kind are damaged."""
    is_text = "csv" in title or "toml" in title
    alike = by_words if is_text else by_values
    return (alike,) if "time" in title else (by_bytes, alike, alike)


def write_tables(data: Path, folder: Path) -> None:
    """Folders with nothing but a table of interactions, as csv and as Parquet."""
    table = pq.read_table(data / "interactions.parquet")
    table = table.append_column("time", pa.array(range(table.num_rows)))
    for suffix, write in (("csv", pacsv.write_csv), ("parquet", pq.write_table)):
        (folder / f"table-{suffix}").mkdir()
        write(table, folder / f"table-{suffix}" / f"interactions.{suffix}")


def write_features(x: np.ndarray, folder: Path) -> None:
    """A feature file of each format, and of one that is none."""
    ids = np.arange(100, 100 + len(x))
    tensors = {"features": torch.from_numpy(x), "ids": torch.from_numpy(ids)}
    np.save(folder / "f.npy", x)
    np.savez(folder / "f.npz", features=x, ids=ids)
    save_file(tensors, folder / "f.safetensors")
    pq.write_table(pa.table({"item_id": ids, "v": list(x)}), folder / "f.parquet")
    torch.save(tensors, folder / "f.pt")
    head = ",".join(["item_id", *(f"v{n}" for n in range(x.shape[1]))])
    rows = np.column_stack([ids, x])
    np.savetxt(folder / "f.csv", rows, "%g", delimiter=",", header=head, comments="")


def check_good(kind: Kind, folder: Path) -> None:
    """Run the command of a kind on its good input; what it loads is loaded then."""
    if kind.good.name == "f.pt":
        return  # no format of features
    words = filled(kind.command, kind.good, folder / "good")
    code, _, error = called(words)
    if code:
        raise RuntimeError(f"{words}: {error}")
    for path in folder.glob("good*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def filled(command: str, path: Path, new: Path) -> list[str]:
    """Words of a command with the input and the output in their places."""
    return [word.format(path, new=new) for word in command.split()]


def called(words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that runs in this process."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run_command(words)
    return code, out.getvalue(), error.getvalue()


def memory(name: str) -> float:
    """MB of this process: ``VmRSS`` now, ``VmHWM`` the most since :func:`forget`."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+)", status)
    return int(found[1]) / 1000 if found else 0.0


def forget_peak() -> None:
    """Let the most memory of this process be that of now (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def judge(kind: Kind, draw: random.Random, found: Found, scratch: Path) -> None:
    """Damage the good input once, run its command and count what came of it."""
    path = scratch / kind.good.name
    is_folder = kind.good.is_dir()
    shutil.copytree(kind.good, path) if is_folder else shutil.copy(kind.good, path)
    files = [each for each in path.rglob("*") if read_by(each)] if is_folder else [path]
    draw.choice(kind.ways)(draw, draw.choice(sorted(files)))
    words = filled(kind.command, path, scratch / "new")
    forget_peak()
    before, started = memory("VmRSS"), time.process_time()
    code, _, error = called(words)
    seconds, peak = time.process_time() - started, memory("VmHWM") - before
    found.accepted += code == 0
    found.refused += code == 2
    found.tracebacks += "Traceback" in error
    found.unexpected += code not in (0, 2) or "error: unexpected" in error
    if code:
        found.seconds = max(found.seconds, seconds)
        found.megabytes = max(found.megabytes, peak)
        found.without_path += str(path) not in error
        found.messages[error.replace(str(path), "PATH").strip()] += 1


def read_by(path: Path) -> bool:
    """True of a file that a command reads back; pages are for people."""
    pages = (".html", ".md", ".svg", ".tex", ".lock")
    return path.is_file() and path.suffix not in pages and path.stat().st_size > 0


def main() -> None:
    """Print a row per kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=500, help="of each kind")
    parser.add_argument("--kinds", nargs="*", help="all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="the messages, too")
    given = parser.parse_args()
    os.environ["COLUMNS"] = "200"
    columns = ("refused", "accepted", "tracebacks", "unexpected", "without a path")
    print(f"| kind | inputs | {' | '.join(columns)} | CPU s | MB |")
    print("|---|" + "--:|" * 8)
    with tempfile.TemporaryDirectory() as name:
        kinds = good_inputs(Path(name))
        for title in given.kinds or kinds:
            draw, found = random.Random(f"{title} {given.seed}"), Found()
            check_good(kinds[title], Path(name))
            for _ in range(given.inputs):
                with tempfile.TemporaryDirectory(dir=name) as scratch:
                    judge(kinds[title], draw, found, Path(scratch))
            counts = (
                *(found.refused, found.accepted, found.tracebacks, found.unexpected),
                found.without_path,
            )
            print(
                f"| {title} | {given.inputs} | {' | '.join(map(str, counts))} | "
                f"{found.seconds:.2f} | {found.megabytes:.0f} |",
                flush=True,
            )
            if given.show:
                for message, times in found.messages.most_common():
                    print(f"{times:5} {message[:300]}")


if __name__ == "__main__":
    main()
