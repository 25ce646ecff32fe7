"""``mmgraph models``: the systems, and the options of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt

if TYPE_CHECKING:
    from mmgraph.bench.systems import SystemOptions, SystemSummary
    from mmgraph.options import Option


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help=f"{opt.SPEC}; all.")
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """List the systems; of a NAME, its options, their defaults and domains.

    What is listed for a NAME goes after --set. Example: mmgraph models VBPR+CLEAR
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.bench.spec import parse_spec
    from mmgraph.bench.systems import list_systems, system_options

    if name is None:
        systems = list_systems()
        if as_json:
            opt.emit_json([asdict(system) for system in systems])
        else:
            _show_systems(systems)
        return
    described = system_options(parse_spec(name))
    if as_json:
        opt.emit_json(_as_json(described))
    else:
        _show_options(f"Options of {described.spec}", described.options)
        _show_options("Options of its training", described.trainer)


def _as_json(described: SystemOptions) -> dict[str, Any]:
    return {
        "system": str(described.spec),
        "options": [_option_as_json(option) for option in described.options],
        "trainer": [_option_as_json(option) for option in described.trainer],
    }


def _option_as_json(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "default": option.default,
        "domain": option.domain,
        "help": _plain(option.help),
    }


def _show_systems(systems: Sequence[SystemSummary]) -> None:
    from rich.table import Table

    table = Table("System", "Kind", "Modalities", "Fidelities", "Plug-ins")
    for system in systems:
        least = system.least_modalities
        table.add_row(
            system.name,
            system.kind,
            f"{least} or more" if least else "not used",
            ", ".join(system.fidelities),
            ", ".join(system.plugins) or "none",
        )
    opt.console().print(table)


def _show_options(title: str, options: Sequence[Option]) -> None:
    from rich.table import Table

    from mmgraph.bench.spec import format_value

    table = Table("Option", "Default", "Domain", "Meaning", title=title)
    for o in options:
        table.add_row(o.name, format_value(o.default), o.domain, _plain(o.help))
    opt.console().print(table)


def _plain(help_text: str) -> str:
    """Help without the marks of docstrings: roles, and quotes around code."""
    last_part = r"(?:~[\w.]*\.)?"
    return re.sub(rf":\w+:`{last_part}([^`]*)`", r"\1", help_text).replace("``", "")
