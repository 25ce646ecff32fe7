from __future__ import annotations

import json
import logging
import shlex
import time
from html import unescape

import pytest
import torch
from rich.table import Table

from mmgraph.cli import main
from mmgraph.cli.options import console, emit_json, set_up
from mmgraph.errors import UserError
from mmgraph.train.epoch_seed import epoch_seeds


@pytest.fixture(autouse=True)
def _as_before():
    """Logging and threads belong to the process."""
    root, threads = logging.getLogger(), torch.get_num_threads()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    torch.set_num_threads(threads)


def test_the_seed_decides_what_is_drawn():
    draws = []
    for seed in (3, 3, 4):
        set_up(seed=seed, device="cpu", threads=0, quiet=True)
        draws.append(torch.rand(5))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(("seed", "seeds"), [(-1, 1), (2**70, 1), (2**32 - 1, 2)])
def test_a_seed_that_torch_cannot_take_is_refused(seed, seeds):
    with pytest.raises(UserError, match=rf"seed must be in \[0, .*\(got {seed}\)"):
        set_up(seed, device="cpu", threads=0, quiet=True, seeds=seeds)


def test_the_greatest_seed_is_one_that_the_trainer_can_use():
    set_up(2**32 - 1, device="cpu", threads=0, quiet=True)
    for each in epoch_seeds(2**32 - 1, 2**20):
        torch.Generator().manual_seed(each)


def test_threads_are_set_and_zero_leaves_them():
    set_up(seed=0, device="cpu", threads=2, quiet=True)
    assert torch.get_num_threads() == 2
    set_up(seed=0, device="cpu", threads=0, quiet=True)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("quiet", [False, True])
def test_logs_go_to_stderr_and_quiet_leaves_the_warnings(capsys, quiet):
    set_up(seed=0, device="cpu", threads=0, quiet=quiet)
    logging.getLogger("mmgraph.some").info("a word")
    logging.getLogger("mmgraph.some").warning("a warning")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a warning\n" if quiet else "a word\na warning\n")


def test_an_unknown_device_is_refused():
    with pytest.raises(UserError, match="unknown device 'tpu' - choose auto, cpu"):
        set_up(seed=0, device="tpu", threads=0, quiet=True)


def test_a_pipe_folds_no_line(capsys):
    console().print("x" * 150)
    assert capsys.readouterr().out == "x" * 150 + "\n"


def test_names_are_printed_as_they_are(capsys):
    table = Table("a" * 30, title="shop[new] :star:")
    table.add_row("x[red]y")
    console().print(table)
    out = capsys.readouterr().out
    assert "shop[new] :star:" in out
    assert "x[red]y" in out


def test_json_reads_back(capsys):
    result = {"metrics": {"recall@20": 0.5}, "k": [10, 20], "none": None}
    emit_json(result)
    assert json.loads(capsys.readouterr().out) == result


def test_names_are_shown_as_they_are(capsys):
    for name in ("a[/red]", "shop[new]", ":smile:"):
        table = Table(name, title=name)
        table.add_row(name)
        console().print(table)
        console().print(name)
        assert capsys.readouterr().out.count(name) == 4


@pytest.mark.parametrize(
    "words",
    [
        *(["train", "MF-BPR", "--threads", n] for n in ("-1", "5000", "9" * 30)),
        *(["train", "MF-BPR", "--epochs", n] for n in ("-1", "0", "9" * 30)),
        *(["train", "MF-BPR", "--seed", n] for n in ("-1", "4294967296", "nan")),
        *(["train", "VBPR", "--set", f"embedding_dim={n}"] for n in (10**18, 10**30)),
        *(["train", "VBPR", "--set", f"lr={n}"] for n in ("nan", "-inf", "1e999", "0")),
        ["train", "VBPR", "--set", "lr=" + "[" * 5000],
        ["train", "VBPR", "--set", "lr=" + "x" * 10**7],
        ["train", "VBPR:" + "x" * 10**7],
        *(["bench", "MF-BPR", "--seeds", n] for n in ("-1", "0", "9" * 30, "nan")),
        *(["bench", "MF-BPR", "--jobs", n] for n in ("-1", "5000", "1e3")),
        *(["bench", "MF-BPR", "--epochs", n] for n in ("-1", "0", "9" * 30, "inf")),
        *(["reproduce", "sea-theorems", "--seeds", n] for n in ("-1", "0", "9" * 9)),
        *(
            ["reproduce", "sea-theorems", "--grid", f"dim=[{n}]"]
            for n in ("-1", "0", "NaN", "1e9", 10**12, 10**30, "[" * 3000)
        ),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_numbers_that_mean_nothing_are_refused_in_a_line_at_once(
    words, tmp_path, capsys
):
    out = tmp_path / "out"
    began = time.process_time()
    assert main([*words, "--out", str(out), "--device", "cpu", "--quiet"]) == 2
    assert time.process_time() - began < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert " - " in line
    assert "nput should" not in line
    assert len(line) < 1000
    assert not out.exists() or not any(out.iterdir())


@pytest.mark.parametrize("k", ["-1", "0", "nan", "9" * 5000, "9" * 30])
@pytest.mark.parametrize("command", ["evaluate", "recommend"])
def test_lengths_of_lists_that_mean_nothing_are_refused(
    command, k, run, tmp_path, capsys
):
    out = ["--out", str(tmp_path / "top.csv")] if command == "recommend" else []
    assert main([command, str(run), "--k", k, *out, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not (tmp_path / "top.csv").exists()


def test_a_report_tells_the_command_that_made_it(catalogue, tmp_path):
    graph, report = tmp_path / "my graph.pt", tmp_path / "r.html"
    words = ["knn", "build", str(catalogue / "visual.npz"), "--out", str(graph)]
    assert main([*words, "--report", str(report), "--quiet"]) == 0
    typed = ["mmgraph", *words, "--report", str(report), "--quiet"]
    fact = f"<dt>Command</dt><dd>{shlex.join(typed)}</dd>"
    assert fact in unescape(report.read_text("utf-8"))
