from __future__ import annotations

import inspect
import sys

from mmgraph.distributed.commands import in_all_processes


def say(word: str, device: str = "auto", quiet: bool = False) -> None:
    """A command."""
    sys.stdout.write(f"{word} {device} {quiet}\n")


def test_a_command_keeps_its_arguments_and_its_help():
    decorated = in_all_processes(say)
    assert inspect.signature(decorated) == inspect.signature(say)
    assert decorated.__doc__ == "A command."


def test_alone_it_is_called_as_it_is(capsys):
    in_all_processes(say)("hello", device="cpu")
    assert capsys.readouterr().out == "hello cpu False\n"


def say_it(out):
    in_all_processes(say)(word="hello", device="cpu", quiet=False)


def test_the_first_of_several_speaks(launch):
    outputs = launch(2, say_it, "").outputs()
    assert [(code, out) for code, out, _ in outputs] == [
        (0, "hello cpu False\n"),
        (0, ""),
    ]
