from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mmgraph.cli import main
from mmgraph.cli.arguments.importing import importing
from mmgraph.errors import UserError
from mmgraph.models import registry
from mmgraph.models.parts import own_systems

MINE = """
from mmgraph.models import Recommender, register_model
from mmgraph.models.mf_bpr import MFBPR


class {name}(MFBPR):
    pass


register_model("{name}", {name})
"""


def test_words_go_anywhere_and_the_variable_is_put_back(monkeypatch):
    monkeypatch.delenv("MMGRAPH_IMPORT", raising=False)
    words = ["--import", "a", "train", "X", "--import=b", "--out", "c"]
    with importing(words) as rest:
        assert rest == ["train", "X", "--out", "c"]
        assert os.environ["MMGRAPH_IMPORT"] == "a,b"
    assert "MMGRAPH_IMPORT" not in os.environ
    monkeypatch.setenv("MMGRAPH_IMPORT", "z")
    with importing(["--import", "d.py"]):
        assert os.environ["MMGRAPH_IMPORT"] == f"z,{os.path.abspath('d.py')}"
    assert os.environ["MMGRAPH_IMPORT"] == "z"
    for words in (["train", "--import"], ["--import="]):
        with pytest.raises(UserError, match="--import names no module"):
            importing(words).__enter__()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder with a system of its own, which no earlier test has imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_systems, "_imported", set())
    monkeypatch.setattr(own_systems, "_groups_read", set())
    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))
    (tmp_path / "mine.py").write_text(MINE.format(name="Mine"))
    return tmp_path


@pytest.fixture
def forget(home):
    """Forgets the system, as another process would not know it."""

    def of_one_process():
        own_systems._imported.clear()
        registry.MODELS.pop("Mine", None)

    return of_one_process


SMALL = ["--epochs", "1", "--set", "embedding_dim=4", "--device", "cpu", "--quiet"]
IMPORT = ["--import", "mine.py"]


def test_every_command_finds_a_system_of_ones_own(home, forget, catalogue, capsys):
    of_data = ["--data", str(catalogue), *SMALL]
    commands = [
        ["train", "Mine", "--out", "run", *of_data],
        ["train", "Mine", "--out", "run", "--resume", *of_data],
        ["evaluate", "run", "--quiet"],
        ["recommend", "run", "--out", "top.csv", "--quiet"],
        ["export", "run", "--out", "vectors", "--quiet"],
        ["tune", "Mine", "--out", "search", "--trials", "1", *of_data],
        ["bench", "Mine", "--seeds", "1", "--jobs", "1", "--no-floors", *of_data],
        ["models", "Mine", "--quiet"],
    ]
    for command in commands:
        forget()
        assert main([*command, *IMPORT]) == 0, capsys.readouterr().err
    forget()
    load_run_with_import = ["similar", "run", "--items", "1", "--quiet"]
    assert main(load_run_with_import) == 2
    error = capsys.readouterr().err
    assert "unknown model 'Mine'" in error
    assert error.endswith("a system of your own needs --import MODULE\n")


def test_processes_of_a_benchmark_import_it_too(home, catalogue):
    program = "import sys; from mmgraph.cli import main; sys.exit(main())"
    words = ["bench", "Mine", "--seeds", "2", "--jobs", "2", "--no-floors"]
    words += ["--data", str(catalogue), *SMALL, *IMPORT]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken.py", "ZeroDivisionError: division by zero"),
        ("nowhere.py", "FileNotFoundError"),
        ("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(home, capsys, name, reason):
    (home / "broken.py").write_text("1 / 0")
    assert main(["models", "--quiet", "--import", name]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_package_brings_its_systems_by_an_entry_point(
    home, monkeypatch, capsys, caplog
):
    monkeypatch.syspath_prepend(str(home))
    source = MINE.format(name="Theirs").replace("register_model(", "# ")
    (home / "theirs.py").write_text(source)
    information = home / "theirs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: theirs\nVersion: 1.0\n")
    entries = "[mmgraph.models]\nTheirs = theirs:Theirs\nBroken = nowhere:Broken\n"
    (information / "entry_points.txt").write_text(entries)
    known = registry.available_models()
    assert "Theirs" in known
    assert "Broken" not in known
    assert "Broken of nowhere:Broken is left out (ModuleNotFoundError" in caplog.text
