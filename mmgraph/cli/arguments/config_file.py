"""``--config FILE``: options of a command, which its command line goes over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mmgraph.errors import UserError, unknown_name

#: The table of a file with the options of models and of the trainer, as after --set.
_OPTIONS = "options"


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let a file say what the command line does not.

    Args:
        context: The command's; its defaults change.
        path: A TOML file with options by the names that they have on the command line,
            without the dashes, and a table ``[options]``; or a ``run.json``.

    Returns:
        The path.

    Raises:
        UserError: If the file cannot be read, or names what the command does not have.
    """
    if path is None:
        return None
    content = _of_run(path) if path.suffix == ".json" else _read(path)
    options = content.pop(_OPTIONS, {})
    if not isinstance(options, dict):
        raise UserError(
            f"{_OPTIONS} is not a table (got {options!r})",
            f"write [{_OPTIONS}] and a line key = value for each",
            path=path,
        )
    parameters = _parameters_of(context)
    defaults = {}
    for key, value in content.items():
        if key not in parameters:
            error = unknown_name("key", key, [*parameters, _OPTIONS])
            raise UserError(error.what, error.fix, path=path)
        defaults[parameters[key].name] = _as_word(key, value, parameters[key], path)
    context.default_map = defaults
    context.meta[_OPTIONS] = options
    return path


def over_config(context: typer.Context, pairs: list[str] | None) -> list[str]:
    """What a file of options says, and then what ``--set`` says, which wins."""
    from mmgraph.bench.spec import format_value

    options: Mapping[str, Any] = context.meta.get(_OPTIONS, {})
    of_file = [f"{key}={format_value(value)}" for key, value in options.items()]
    return [*of_file, *(pairs or [])]


#: The option of a command that can be given a file.
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml|run.json",
        help="Options by name; those after --set in a table named options.",
        callback=read_config,
        is_eager=True,
    ),
]


def _parameters_of(context: typer.Context) -> dict[str, Any]:
    """Parameters of the command by their spelling, without dashes."""
    of_command = {p.opts[0].removeprefix("--"): p for p in context.command.params}
    left_out = ("config", "help", "set")
    return {name: p for name, p in of_command.items() if name not in left_out}


def _as_word(key: str, value: Any, parameter: Any, path: Path) -> Any:
    """A value as the command line would have it: words, or True and False of a flag."""
    is_flag = bool(getattr(parameter, "is_flag", False))
    takes_many = bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1
    values = value if takes_many and isinstance(value, list) else [value]
    if any(
        isinstance(v, list | dict) or isinstance(v, bool) != is_flag for v in values
    ):
        kind = "true or false" if is_flag else "a word or a number"
        raise UserError(
            f"{key} is not {kind} (got {value!r})", "write key = value", path=path
        )
    words = [v if is_flag else str(v) for v in values]
    return words if takes_many else words[0]


def _read(path: Path) -> dict[str, Any]:
    from mmgraph.bench.recipe import read_toml

    try:
        return read_toml(path)
    except UserError as error:
        raise UserError(error.what, error.fix, path=path, row=error.row) from error


def _of_run(path: Path) -> dict[str, Any]:
    """The command that gave a run, as a file of options would have it."""
    from mmgraph.bench.run_directory import INFO, finished_info

    if path.name != INFO:
        raise UserError(
            "not a run.json", "give that of a run, or a TOML file", path=path
        )
    info = finished_info(path.parent)
    if info["split_seed"]:
        what = f"its split has the seed {info['split_seed']}, not 0"
        raise UserError(what, "repeat it in Python", path=path)
    return {
        "model": info["spec"],
        "data": info["data_location"],
        "split": info["split_rule"],
        "seed": info["seed"],
        _OPTIONS: {**info["options"], **info["trainer"]},
    }
