"""``mmgraph tune``: search the options of a system on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt


def tune(
    model: Annotated[str, typer.Argument(help=opt.SPEC)],
    out: Annotated[Path, typer.Option("--out", help="Folder of the search.")],
    data: opt.Data = "synthetic",
    split_rule: opt.SplitRule = "label",
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="K=LOW..HIGH",
            help=r"What to try, or K=\[a,b,c]; by default lr and reg_weight.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="Trials in the end.")] = 30,
    epochs: Annotated[int | None, typer.Option("--epochs", help="At most.")] = None,
    set_: opt.Set = None,
    jobs: Annotated[
        int, typer.Option("--jobs", help="Processes; with --ray, trials at once.")
    ] = 1,
    ray: opt.Ray = None,
    gpus: opt.Gpus = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search there.")
    ] = False,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Search the options of a system on validation, and say which of them matter.

    Trials are chosen by Optuna; one that falls behind is ended early; a search that was
    interrupted goes on with --resume, or to more --trials. Test is never looked at.

    Example:
    mmgraph tune LightGCN --data DIR --out search --search lr=1e-4..1e-2 --trials 30
    """
    opt.check_gpus(gpus, ray)
    opt.set_up(seed, device, threads, quiet, jobs=jobs)
    opt.check_range("trials", trials, 1, 10**6)
    opt.check_range("jobs", jobs, 1, opt.most_threads())
    from functools import partial

    from mmgraph.bench.config import canonical, check_settings, check_values
    from mmgraph.bench.source import DataSource
    from mmgraph.bench.spec import parse_spec
    from mmgraph.cli.progress import training_bar
    from mmgraph.tuning.search import tune as run_search
    from mmgraph.tuning.space import parse_space
    from mmgraph.tuning.trials import Search

    spec = canonical(parse_spec(model))
    settings = opt.read_settings(set_, epochs)
    check_settings(settings, [spec])
    check_values(settings, [spec])
    result = run_search(
        Search(spec, parse_space(search or [], spec), settings, seed, device),
        DataSource(data, split_rule),
        out,
        trials=trials,
        jobs=jobs,
        resume=resume,
        threads=threads,
        ray=ray,
        gpus=gpus,
        watch=partial(training_bar, quiet=quiet),
    )
    if as_json:
        opt.emit_json({"out": str(out)} | result)
        return
    ended = result["trials"]
    typer.echo(
        f"{ended['complete'] + ended['pruned']} trials, "
        f"{ended['pruned']} of them ended early, {ended['failed']} failed"
    )
    best = result["best"]
    typer.echo(f"best {result['monitor']} {best['value']:.4f}, epoch {best['epoch']}")
    for name, value in best["options"].items():
        share = (result["importance"] or {}).get(name)
        note = "" if share is None else f"  (importance {share:.2f})"
        typer.echo(f"  --set {name}={value}{note}")
