from __future__ import annotations

import subprocess
import sys

import pytest

from mmgraph.cli import app as app_module
from mmgraph.cli import main
from mmgraph.errors import UserError
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.models.registry import MODELS

HEAVY = ("torch", "numpy", "pandas", "scipy", "torch_geometric", "faiss")


@pytest.mark.parametrize("words", [["--help"], ["bench", "--help"], ["data", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom mmgraph.cli import main\n"
        f"assert main({words!r}) == 0\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == "[]\n"
    assert "Usage: mmgraph" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["bnech"],
            "no such command 'bnech'. Did you mean 'bench'? - see mmgraph --he",
        ),
        (
            ["bench", "--epoch", "3"],
            "did you mean '--epochs'? see mmgraph bench --help",
        ),
        (
            ["bench", "--seeds", "0"],
            "seeds must be in [1, 1000] (got 0) - choose another --seeds",
        ),
        (
            ["bench", "--seeds", "x"],
            "value for '--seeds': not a valid integer - see mmgraph bench --help",
        ),
        (["train"], "see mmgraph train --help"),
        (["train", "MF-BPR"], "missing option '--out' - see mmgraph train --help"),
        (
            ["evaluate", "R", "--split", "train"],
            "error: invalid value for '--split': 'train' is not one of 'valid', 'test'",
        ),
        (
            ["evaluate", "nowhere"],
            "nowhere: not a run directory (no run.json) - give a",
        ),
        (
            ["evaluate", "nowhere", "--k", "0"],
            "cannot read --k '0' - write cut-offs as",
        ),
        (["bench", "X", "--data", "nowhere"], "unknown model 'X' - choose from MF-BPR"),
        (
            ["bench", "--data", "nowhere"],
            "nowhere: no such folder - give a data folder",
        ),
        (["bench", "--recipe", "no.toml"], "no.toml: no such recipe - check the path"),
        (
            ["bench", "--set", "lrr=1"],
            "unknown option 'lrr' - did you mean 'lr'? choose",
        ),
        (["bench", "--set", "lr"], "cannot read the option 'lr' - write key=value"),
        (["bench", "--device", "tpu"], "unknown device 'tpu' - choose auto, cpu, cuda"),
        (
            ["recommend", "R", "--out", "a.txt"],
            "cannot write 'a.txt' - name it .csv or",
        ),
        (
            ["train", "MF-BPR", "--plugin", "clear", "--out", "R"],
            "no modality encoders",
        ),
        (
            ["train", "MF-BPR", "--set", "epochs=0", "--out", "R"],
            "Trainer: 'epochs' must be at least 1 (got 0) - correct the option",
        ),
        (
            ["train", "SEA", "--set", "encoder_dim=-4", "--out", "R"],
            "SEA: 'encoder_dim' must be at least 1 or null (got -4) - correct the",
        ),
        (
            ["train", "SEA", "--set", "club_lr=-1.0", "--out", "R"],
            "SEA: 'club_lr' must be above 0 or null (got -1.0) - correct the option",
        ),
        (
            ["bench", "--set", "embedding_dim=-4"],
            "MF-BPR: 'embedding_dim' must be at least 1 (got -4) - correct the option",
        ),
    ],
)
def test_an_error_of_the_user_is_one_line_and_exit_code_2(
    words, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--quiet"] if "--seeds" not in words else words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir()), "nothing is written before the mistake is seen"


class Broken(MFBPR):
    """A system whose author made a mistake."""

    def __init__(self, num_users, num_items, *, embedding_dim: int = 8) -> None:
        raise TypeError("'NoneType' object is not callable")


@pytest.mark.parametrize("command", [["train", "Broken"], ["bench", "Broken"]])
def test_a_programming_error_of_a_system_is_shown_as_it_is(
    command, capsys, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "Broken", Broken)
    words = [*command, "--out", str(tmp_path / "out"), "--quiet"]
    assert main(words) == 1
    assert capsys.readouterr().err == (
        "error: unexpected TypeError: 'NoneType' object is not callable - "
        "run again with --debug and report it\n"
    )
    assert main([*words, "--debug"]) == 1
    assert "in __init__" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def raising(error):
    def command() -> None:
        raise error

    return command


@pytest.fixture
def broken(monkeypatch):
    """Registers a command that raises what it is given, and forgets it afterwards."""
    commands = list(app_module.app.registered_commands)
    monkeypatch.setattr(app_module.app, "registered_commands", commands)

    def register(error):
        app_module.app.command("broken")(raising(error))

    return register


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            UserError("bad", "mend it", path="a", row=3),
            2,
            "error: a:3: bad - mend it\n",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (
            RuntimeError("two\nlines"),
            1,
            "error: unexpected RuntimeError: two lines - run",
        ),
        (
            PermissionError(13, "Permission denied", "f"),
            2,
            "error: f: Permission denied",
        ),
    ],
)
def test_exceptions_become_one_line_and_an_exit_code(broken, capsys, error, code, line):
    broken(error)
    assert main(["broken"]) == code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_debug_shows_the_traceback_wherever_it_stands(broken, capsys):
    broken(ValueError("deep"))
    assert main(["broken", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main(["--debug", "broken"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_group_without_its_command_shows_what_there_is(capsys):
    assert main(["data"]) == 2
    out, err = capsys.readouterr()
    assert out.count("Usage: mmgraph data") == 1
    assert err == "error: mmgraph data: no command given - see its --help\n"


def test_no_words_show_the_help(capsys):
    assert main([]) == 0
    assert "Usage: mmgraph" in capsys.readouterr().out
