from __future__ import annotations

import mmgraph
from mmgraph.cli import main


def test_every_command_is_listed_with_what_it_does(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("bench", "train", "evaluate", "recommend", "doctor", "data", "knn"):
        (line,) = [line for line in text.splitlines() if f" {command} " in line]
        assert line.strip("│ ").removeprefix(command).strip(), command


def test_every_command_takes_the_common_options(capsys):
    for command in ("bench", "train", "evaluate", "recommend", "doctor"):
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        for option in ("--seed", "--device", "--threads", "--json", "--quiet"):
            assert option in text, (command, option)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mmgraph {mmgraph.__version__}\n"
