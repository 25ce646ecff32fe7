from __future__ import annotations

import json

from mmgraph.cli import main
from mmgraph.cli.models import _plain
from mmgraph.models import available_floors, available_models


def test_the_table_names_every_system(capsys):
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split("│")[1:-1] for line in shown.splitlines() if "│" in line]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    names = available_models() + available_floors()
    assert list(table) == names
    assert table["MF-BPR"] == ["trained", "not used", "paper, released", "none"]
    assert table["PAMD"] == ["trained", "2 or more", "paper, released", "CLEAR, SEA"]
    assert table["CLEAR"] == ["trained", "1 or more", "paper", "SEA"]
    assert table["ContentKNN"] == ["floor", "1 or more", "paper", "none"]
    assert main(["models", "--json"]) == 0
    systems = json.loads(capsys.readouterr().out)
    assert [system["name"] for system in systems] == names
    assert systems[0] == {
        "name": "MF-BPR",
        "least_modalities": 0,
        "fidelities": ["paper", "released"],
        "plugins": [],
        "kind": "trained",
    }


def test_the_options_of_a_system_have_default_domain_and_meaning(capsys):
    assert main(["models", "vbpr+clear:strength=0.5"]) == 0
    shown = capsys.readouterr().out
    assert "Options of VBPR+CLEAR:strength=0.5" in shown
    rows = [line.split("│")[1:-1] for line in shown.splitlines() if "│" in line]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert table["strength"][:2] == ["0.5", "a number in [0, 1]"]
    assert table["where"][:2] == ["encoder", "one of 'encoder', 'graph'"]
    assert table["lr"][:2] == ["0.001", "a number above 0 or null"]
    assert table["epochs"][2] == "Most epochs to train."


def test_the_options_as_json(capsys):
    assert main(["models", "SEAb", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert list(described) == ["system", "options", "trainer"]
    assert described["system"] == "SEAb"
    (variant,) = (o for o in described["options"] if o["name"] == "variant")
    assert variant["default"] == "b"
    assert variant["domain"] == "one of 'a', 'b', 'c', 'd'"
    assert variant["help"].startswith('"a" SoloSim')


def test_an_unknown_system_is_refused_with_the_nearest(capsys):
    assert main(["models", "FREEDM"]) == 2
    assert "error: unknown model 'FREEDM' - did you mean 'FREEDOM'?" in (
        capsys.readouterr().err
    )


def test_what_train_refuses_is_refused_in_the_same_words(tmp_path, capsys):
    for name in ("MF-BPR+clear", "LayerGCN@released", "VBPR:embedding_dim=-3"):
        assert main(["models", name]) == 2
        described = capsys.readouterr()
        assert main(["train", name, "--out", str(tmp_path / "run"), "--quiet"]) == 2
        assert (described.out, described.err) == ("", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_help_loses_the_marks_of_docstrings():
    text = "Rate :math:`k` of :class:`~mmgraph.nn.Loss`, ``None``: see :func:`f`."
    assert _plain(text) == "Rate k of Loss, None: see f."
