from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mmgraph.cli import main
from mmgraph.cli.bench import SYSTEMS
from mmgraph.files import read_json_lines
from mmgraph.models import VBPR

TINY = ["--set", "embedding_dim=8", "--epochs", "2", "--device", "cpu", "--quiet"]


def bench(catalogue, out, *words, floors="--no-floors"):
    words = ["bench", *words, floors, "--data", str(catalogue), "--out", str(out)]
    return main([*words, *TINY])


def lines(out):
    return read_json_lines(out / "results.jsonl")


def test_results_leaderboard_and_report_are_written(catalogue, tmp_path, capsys):
    specs = ["VBPR", "VBPR+CLEAR:rank=2", "MF-BPR"]
    assert bench(catalogue, tmp_path, *specs, "--seeds", "2") == 0
    found = lines(tmp_path)
    assert [(line["spec"], line["seed"]) for line in found[1:]] == [
        (spec, seed) for spec in specs for seed in (999, 1000)
    ]
    markdown = (tmp_path / "leaderboard.md").read_text()
    report = (tmp_path / "report.html").read_text()
    shown = capsys.readouterr().out
    for name in [*specs, "Popularity"]:
        assert name in markdown
        assert name in report
        assert name in shown
    assert "(VBPR) |" in markdown  # the plug-in is tested against its base


def test_floors_stand_beside_the_systems_by_default(catalogue, tmp_path, capsys):
    words = ["bench", "VBPR", "--data", str(catalogue), "--out", str(tmp_path)]
    assert main([*words, "--seeds", "2", *TINY]) == 0
    markdown = (tmp_path / "leaderboard.md").read_text()
    shown = capsys.readouterr().out
    floors = ["ItemKNN", "ContentKNN", "ContentKNN:modality=visual"]
    floors.append("ContentKNN:modality=textual")
    for name in floors:
        assert f"| {name} | 1 |" in markdown
        assert name in shown
    assert "Floors, without training: " in markdown
    assert [line["seed"] for line in lines(tmp_path)] == [None, 999, 1000, *[999] * 4]


def test_a_failed_run_ends_in_an_error_after_the_report(catalogue, tmp_path, capsys):
    assert bench(catalogue, tmp_path, "MF-BPR:lr=1e30", "VBPR", "--seeds", "1") == 2
    shown = capsys.readouterr()
    assert shown.err.endswith("train it with a smaller learning rate\n")
    assert "1 of 2 runs failed, first MF-BPR:lr=1e+30 with seed 999" in shown.err
    assert "VBPR" in shown.out
    assert "VBPR" in (tmp_path / "leaderboard.md").read_text()


def test_json_gives_the_lines(catalogue, tmp_path, capsys):
    assert bench(catalogue, tmp_path, "MF-BPR", "--seeds", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == lines(tmp_path)


def test_a_recipe_names_systems_and_chooses_on_validation(catalogue, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'models = ["MF-BPR"]\n[system.MF-BPR]\ngrid = {lr = [1e-5, 1e-2]}\n'
    )
    words = ["--recipe", str(recipe), "--seeds", "1"]
    assert bench(catalogue, tmp_path / "out", *words) == 0
    assert [line["spec"] for line in lines(tmp_path / "out")] == [
        "Popularity",
        "MF-BPR",
    ]
    assert len((tmp_path / "out" / "selection.jsonl").read_text().splitlines()) == 2
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "options chosen on validation, 2 points tried with one seed: lr=" in text


def test_systems_that_the_data_cannot_carry_are_left_out_of_the_default(
    catalogue, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in catalogue.glob("interactions.*"):
        (bare / path.name).write_bytes(path.read_bytes())
    assert bench(bare, tmp_path / "out", "--seeds", "1") == 0
    found = [line["spec"] for line in lines(tmp_path / "out")]
    assert found == ["Popularity", "MF-BPR", "LightGCN"]
    assert bench(bare, tmp_path / "out", "VBPR") == 2  # named, it is an error


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal to a group")
def test_ctrl_c_ends_all_processes_and_resume_goes_on(catalogue, tmp_path):
    words = ["bench", "MF-BPR", "MF-BPR:patience=100000", "--data", str(catalogue)]
    words += ["--seeds", "2", "--jobs", "2", "--threads", "1", "--device", "cpu"]
    words += ["--set", "embedding_dim=4", "--quiet", "--out", str(tmp_path)]
    words += ["--no-floors"]
    # A shell that starts tests in the background leaves them deaf to Ctrl-C.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from mmgraph.cli import main; sys.exit(main())"
    )
    endless = ["--epochs", "1000000", "--set", "patience=2"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, *endless],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    results = tmp_path / "results.jsonl"
    give_up = time.monotonic() + 300
    while not results.exists() or len(results.read_text().splitlines()) < 2:
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert told.splitlines() == [
        "error: interrupted - run again, with --resume where the command has it"
    ]
    give_up = time.monotonic() + 300
    while _lives(process.pid):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    before = lines(tmp_path)
    assert "MF-BPR" in {line["spec"] for line in before}
    short = ["--epochs", "2", "--set", "patience=2", "--resume", "--jobs", "1"]
    assert main([*words, *short]) == 0
    assert len(lines(tmp_path)) == len(before) + 4


def _lives(group):
    """Whether anyone of a process group is left; its workers end before it does."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_broken_line_of_results_is_told_and_nothing_is_trained(
    catalogue, tmp_path, capsys
):
    (tmp_path / "results.jsonl").write_text("garbage\n")
    assert bench(catalogue, tmp_path, "MF-BPR", "--resume") == 2
    assert "results.jsonl:1: not JSON: " in capsys.readouterr().err
    assert (tmp_path / "results.jsonl").read_text() == "garbage\n"


def test_a_grid_of_a_wrong_type_ends_before_anything_is_written(
    catalogue, tmp_path, capsys
):
    recipe = tmp_path / "r.toml"
    recipe.write_text("[system.MF-BPR]\ngrid = {reg_weight = ['x', 'y']}\n")
    out = tmp_path / "out"
    assert bench(catalogue, out, "MF-BPR", "--recipe", str(recipe)) == 2
    assert (
        "r.toml: system 'MF-BPR': grid: MF-BPR: 'reg_weight' must"
        in capsys.readouterr().err
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "FREEDOM = {options = {modality_weights = {a = 1, b = 2}}}",
            "must name visual",
        ),
        ('"VBPR+CLEAR" = {options = {rank = 9}}', "'rank' must be in [0, 8] (got 9)"),
        ('"VBPR+CLEAR" = {grid = {rank = [2, 9]}}', "'rank' must be in [0, 8] (got 9)"),
        ('"MF-BPR+CLEAR" = {options = {rank = 2}}', "has no modality encoders"),
    ],
)
def test_a_misconfigured_system_of_a_recipe_ends_the_bench_before_training(
    catalogue, tmp_path, capsys, entry, message
):
    name = entry.split(" = ")[0].strip('"')
    recipe, out = tmp_path / "r.toml", tmp_path / "out"
    recipe.write_text(f'models = ["MF-BPR", "{name}"]\n[system]\n{entry}\n')
    if name == "MF-BPR+CLEAR":
        recipe.write_text(f'models = ["MF-BPR", "{name}"]\n')
    assert bench(catalogue, out, "--recipe", str(recipe)) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith(f"error: {recipe}: ")
    assert message in line
    assert not out.exists()


def test_a_system_that_the_data_do_not_suit_is_named_also_when_quiet(
    catalogue, tmp_path, capsys
):
    one = tmp_path / "one"
    shutil.copytree(catalogue, one)
    next(one.glob("textual.*")).unlink()
    (one / "mmgraph.json").unlink()  # it was taken away on purpose
    recipe = tmp_path / "r.toml"
    recipe.write_text('models = ["MF-BPR", "PAMD"]\n')
    words = ["--recipe", str(recipe), "--seeds", "1"]
    assert bench(one, tmp_path / "out", *words) == 0
    reason = "PAMD is left out: PAMD needs 2 modalities or more (got visual)"
    assert reason in capsys.readouterr().err
    assert reason in (tmp_path / "out" / "leaderboard.md").read_text()
    assert [line["spec"] for line in lines(tmp_path / "out")][1:] == ["MF-BPR"]
    recipe.write_text('models = ["PAMD"]\n')
    assert bench(one, tmp_path / "none", *words) == 2
    assert "the data suit none of PAMD" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_function_that_refuses_the_data_ends_no_other_system(
    catalogue, tmp_path, capsys, monkeypatch
):
    def refuse(self, data, batch):
        raise ValueError("no row has both modalities")

    monkeypatch.setattr(VBPR, "loss", refuse)
    out = tmp_path / "out"
    assert bench(catalogue, out, "VBPR", "MF-BPR", "--seeds", "1") == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].startswith(
        "error: 1 of 2 runs failed, first VBPR with seed 999: no row has both modalit"
    )
    assert "MF-BPR" in shown.out
    board = (out / "leaderboard.md").read_text()
    assert "VBPR with seed 999 is left out: no row has both modalities." in board


def test_a_mistake_in_the_code_of_a_system_is_not_hidden(
    catalogue, tmp_path, capsys, monkeypatch
):
    def fail(self, data, batch):
        raise TypeError("a mistake")

    monkeypatch.setattr(VBPR, "loss", fail)
    assert bench(catalogue, tmp_path, "VBPR", "MF-BPR", "--seeds", "1") == 1
    assert "unexpected TypeError: a mistake" in capsys.readouterr().err


def test_help_names_the_systems_of_the_default(capsys):
    main(["bench", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"by default {', '.join(SYSTEMS)}." in shown


def test_an_option_that_some_systems_lack_is_said(catalogue, tmp_path, capsys):
    words = ["MF-BPR", "LightGCN", "VBPR+CLEAR", "--seeds", "1"]
    options = ["--set", "num_layers=1", "--set", "rank=2", "--set", "lr=0.01"]
    assert bench(catalogue, tmp_path, *words, *options) == 0
    assert capsys.readouterr().err.splitlines() == [
        "num_layers is no option of MF-BPR, VBPR+CLEAR and is left out there",
        "rank is no option of MF-BPR, LightGCN and is left out there",
    ]
