"""``mmgraph reproduce``: the papers' tables and figures, over any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", help="Experiments, or all; see --list."),
    ] = None,
    data: opt.Data = "synthetic",
    split_rule: opt.SplitRule = "label",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; reproduce-<data> by default.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            help="Seeds, 3 by default, 5 of the control alone; single models use the "
            "first.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="At most.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="NAME|FILE", help="Options and grids, TOML."),
    ] = None,
    set_: opt.Set = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid", metavar="K=[V,V]", help="Values an experiment goes through."
        ),
    ] = None,
    fidelity: Annotated[
        str,
        typer.Option(
            "--fidelity", help="Systems of others: as released, or as in the paper."
        ),
    ] = "released",
    model: Annotated[
        str | None,
        typer.Option("--model", help="System of the control; CLEAR without it."),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option("--runs", help="Folder of trained runs; OUT/runs by default."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command stopped.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Name the experiments and end.")
    ] = False,
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Repeat the experiments of the CLEAR and SEA papers on a data set.

    The control asks whether these data can tell what a system makes of its features.
    Each leaves its numbers, table or figure in OUT/NAME; OUT/report.html shows all.
    Example: mmgraph reproduce clear-figure1 sea-theorems --data DIR --out OUT
    """
    if seeds is None:
        seeds = 5 if names == ["control"] else 3
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet, seeds=seeds)
    from functools import partial

    from mmgraph.analysis.reproduce import EXPERIMENTS, reproduce_experiments
    from mmgraph.bench.recipe import load_recipe
    from mmgraph.bench.source import DataSource
    from mmgraph.bench.spec import parse_options
    from mmgraph.cli.progress import training_bar
    from mmgraph.cli.tables import print_table

    if list_:
        titles = {name: e.title for name, e in EXPERIMENTS.items()}
        if as_json:
            opt.emit_json(titles)
        else:
            for name, title in titles.items():
                typer.echo(f"{name:15} {title}")
        return
    source = DataSource(data, split_rule)
    folder = out or Path(f"reproduce-{source.name}")
    results = {}
    for name, result, files in reproduce_experiments(
        names or [],
        source,
        folder,
        seeds=range(seed, seed + seeds),
        epochs=epochs,
        settings=opt.read_settings(set_, None),
        recipe=load_recipe(recipe) if recipe else None,
        grid=parse_options(grid or []),
        fidelity=fidelity,
        model=model,
        runs=runs,
        resume=resume,
        device=device,
        threads=threads,
        ray=ray,
        gpus=gpus,
        watch=partial(training_bar, quiet=quiet),
        command=opt.command_line(),
    ):
        results[name] = result.numbers
        if not as_json:
            for table in result.tables:
                print_table(table)
            if name == "control":
                typer.echo(result.numbers["results"]["verdict"])
            typer.echo(f"{name}: {folder / name}: {', '.join(files)}")
    if as_json:
        opt.emit_json(results)
    else:
        typer.echo(f"{folder / 'report.html'}")
