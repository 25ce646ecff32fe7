from __future__ import annotations

import json

import pytest

from mmgraph.analysis.reproduce import EXPERIMENTS
from mmgraph.cli import main
from mmgraph.files import read_json

TINY = ["--set", "embedding_dim=8", "--epochs", "1", "--device", "cpu", "--quiet"]


def reproduce(catalogue, out, *words):
    return main(["reproduce", *words, "--data", str(catalogue), "--out", str(out)])


def test_the_list_names_every_experiment(capsys):
    assert main(["reproduce", "--list", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(EXPERIMENTS)
    assert main(["reproduce", "--list", "--json", "--quiet"]) == 0
    titles = json.loads(capsys.readouterr().out)
    assert titles["sea-table4"] == "SEA, Table 4: alignment and distance"


def test_numbers_figure_and_report_are_written(catalogue, tmp_path, capsys):
    words = ["clear-figure4", "clear-figure1", "--grid", "rank=[2]", "--seeds", "1"]
    grid = ["--grid", "strength=[0.5,0.9]", "--grid", "k=[5]"]
    assert reproduce(catalogue, tmp_path, *words, *grid, *TINY) == 0
    shown = capsys.readouterr().out
    assert "clear-figure4: " in shown
    assert "Overlap of nearest neighbours on toy" in shown
    assert str(tmp_path / "report.html") in shown
    folder = tmp_path / "clear-figure4"
    assert (folder / "figure.svg").read_bytes().startswith(b"<?xml")
    numbers = json.loads((folder / "numbers.json").read_text())
    assert [cell["strength"] for cell in numbers["results"]["cells"]] == [0.5, 0.9]
    assert numbers["epochs"] == 1
    assert (numbers["seeds"], numbers["settings"]["embedding_dim"]) == ([999], 8)
    assert len((tmp_path / "runs" / "results.jsonl").read_text().splitlines()) == 3


def test_json_gives_the_numbers_and_a_recipe_is_used(catalogue, tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    recipe.write_text("[system.CLEAR]\noptions = {rank = 3, strength = 0.25}\n")
    words = ["clear-figure5", "--recipe", str(recipe), "--seeds", "1", "--json"]
    assert reproduce(catalogue, tmp_path / "out", *words, *TINY) == 0
    numbers = json.loads(capsys.readouterr().out)["clear-figure5"]
    assert numbers == read_json(tmp_path / "out" / "clear-figure5" / "numbers.json")
    assert (numbers["results"]["rank"], numbers["results"]["strength"]) == (3, 0.25)
    assert numbers["recipe"]["systems"]["CLEAR"]["options"]["rank"] == 3


def test_the_embedded_catalogue_serves_too(tmp_path):
    words = ["clear-figure5", "--data", "synthetic", "--out", str(tmp_path)]
    assert main(["reproduce", *words, "--seeds", "1", *TINY]) == 0
    numbers = json.loads((tmp_path / "clear-figure5" / "numbers.json").read_text())
    # The options of the embedded catalogue: the rank that was planted.
    assert (numbers["data"], numbers["results"]["rank"]) == ("synthetic", 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: no experiment named - name one, or all; see --list"),
        (["clear-tabel2"], "error: unknown experiment 'clear-tabel2' - did you mean"),
        (
            ["clear-figure4", "--set", "rnak=2"],
            "error: unknown option 'rnak' of CLEAR - did",
        ),
        (["clear-figure4", "--grid", "rank=2"], "error: grid rank is not a list"),
        (["clear-figure4", "--recipe", "no.toml"], "error: no.toml: no such recipe"),
        (["clear-table2", "--gpus", "1"], "error: --gpus is given without --ray"),
        (["clear-figure4", "--grid", "rank=[65]"], "error: CLEAR: 'rank' must"),
    ],
)
def test_mistakes_are_one_line(words, message, catalogue, tmp_path, capsys):
    assert reproduce(catalogue, tmp_path / "out", *words, "--quiet") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not list(tmp_path.rglob("*.json"))  # a corrected command can begin anew
