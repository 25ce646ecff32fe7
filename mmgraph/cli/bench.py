"""``mmgraph bench``: compare systems and write an honest leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.arguments.config_file import Config
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from mmgraph.analysis.leaderboard.table import Leaderboard

#: Systems that are compared when none is named.
SYSTEMS = (
    *("MF-BPR", "LightGCN", "VBPR", "FREEDOM", "CLEAR", "SEA"),
    *("VBPR+CLEAR", "VBPR+SEA", "FREEDOM+CLEAR", "FREEDOM+SEA"),
)
#: Columns that the terminal goes without; leaderboard.md has them.
LEFT_OUT = (
    *("R@20 95 %", "N@10", "vs base 95 %", "By seed", "Detectable"),
    *("p (t)", "p (Wilcoxon)", "Peak memory"),
)


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL ...]",
            help=f"{opt.SPEC}; by default {', '.join(SYSTEMS)}.",
        ),
    ] = None,
    data: opt.Data = "synthetic",
    split_rule: opt.SplitRule = "label",
    seeds: Annotated[int, typer.Option("--seeds", help="Seeds per system.")] = 3,
    epochs: Annotated[int | None, typer.Option("--epochs", help="At most.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="NAME|FILE", help="Options and grids, TOML."),
    ] = None,
    set_: opt.Set = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; bench-<data> by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep finished runs and skip them.")
    ] = False,
    floors: Annotated[
        bool,
        typer.Option(
            "--floors/--no-floors",
            help="Neighbours by interactions and by content beside the systems.",
        ),
    ] = True,
    keep_models: Annotated[
        bool,
        typer.Option("--keep-models", help="Keep each trained run under OUT/models."),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", help="Runs at once, by default as suits the data."),
    ] = 0,
    config: Config = None,
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train systems, compare them with each other, with floors and with the papers.

    Writes results.jsonl, leaderboard.md and report.html. Example:
    mmgraph bench LightGCN VBPR+CLEAR --data DIR --seeds 3
    """
    if jobs and ray is not None:
        raise UserError("--jobs and --ray are both given", "give one of them")
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet, seeds=seeds, jobs=jobs)
    from mmgraph.analysis import write_leaderboard
    from mmgraph.bench.benchmark import FailedRunsError, run_benchmark
    from mmgraph.bench.recipe import load_recipe
    from mmgraph.bench.results_folder import read_results
    from mmgraph.bench.source import DataSource
    from mmgraph.bench.spec import parse_spec
    from mmgraph.cli.progress import training_bars

    plan = load_recipe(recipe) if recipe else None
    named = [parse_spec(name) for name in models or []]
    specs = named or (plan.models if plan else []) or [parse_spec(n) for n in SYSTEMS]
    source = DataSource(data, split_rule)
    folder = out or Path(f"bench-{source.name}")
    failure: FailedRunsError | None = None
    left_out: dict[str, str] = {}
    with training_bars(quiet=quiet) as watch:
        try:
            run_benchmark(
                specs,
                source,
                folder,
                seeds=range(seed, seed + seeds),
                settings=opt.read_settings(set_, epochs),
                recipe=plan,
                floors=floors,
                required=bool(named),
                on_left_out=left_out.__setitem__,
                device=device,
                resume=resume,
                watch=watch,
                jobs=jobs,
                ray=ray,
                gpus=gpus,
                threads=threads,
                keep_models=keep_models,
            )
        except FailedRunsError as error:
            failure = error  # said last, after what the others gave
    lines = read_results(folder)  # also those of earlier calls
    left_out |= {} if failure is None else failure.reasons
    notes = [f"{name} is left out: {reason}." for name, reason in left_out.items()]
    board = write_leaderboard(folder, notes=notes, command=opt.command_line())
    if as_json:
        opt.emit_json(lines)
    else:
        _show(board, folder)
    if failure is not None:
        raise failure


def _show(board: Leaderboard, folder: Path) -> None:
    from mmgraph.analysis import to_table
    from mmgraph.analysis.report.table import Table
    from mmgraph.cli.tables import print_table

    table = to_table(board)
    shown = [n for n, name in enumerate(table.columns) if name not in LEFT_OUT]
    rows = [[row[n] for n in shown] for row in table.rows]
    columns = [table.columns[n] for n in shown]
    print_table(Table(columns, rows, f"Test metrics on {board.data}"))
    files = f"{folder}/leaderboard.md, report.html, results.jsonl"
    opt.console().print(files, style="dim")
