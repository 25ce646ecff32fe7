from __future__ import annotations

import mmgraph
from mmgraph.cli import main

COMMANDS = (
    *("bench", "compare", "diagnose", "doctor", "evaluate", "recommend"),
    *("reproduce", "train"),
)


def test_every_command_is_listed_with_what_it_does(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in (*COMMANDS, "data", "knn"):
        (line,) = [x for x in text.splitlines() if x.startswith(f"│ {command} ")]
        assert line.strip("│ ").removeprefix(command).strip(), command


def test_every_command_takes_the_common_options(capsys):
    for command in COMMANDS:
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        for option in ("--seed", "--device", "--threads", "--json", "--quiet"):
            assert option in text, (command, option)


def test_brackets_of_a_help_are_shown(capsys):
    for command in ("bench", "train"):
        assert main([command, "--help"]) == 0
        assert "[+PLUGIN][@released][:option" in capsys.readouterr().out
    assert main(["data", "synth", "--help"]) == 0
    assert "textual=48" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mmgraph {mmgraph.__version__}\n"
