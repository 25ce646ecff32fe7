"""``mmgraph train``: train one system into a run directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmgraph.cli import options as opt
from mmgraph.cli.arguments.config_file import Config
from mmgraph.distributed.commands import in_all_processes
from mmgraph.errors import UserError, name_key

if TYPE_CHECKING:
    from mmgraph.bench.jobs.watch import Watch


@in_all_processes
def train(
    model: Annotated[str, typer.Argument(help=opt.SPEC)],
    out: Annotated[Path, typer.Option("--out", help="The run directory.")],
    data: opt.Data = "synthetic",
    split_rule: opt.SplitRule = "label",
    epochs: Annotated[int | None, typer.Option("--epochs", help="At most.")] = None,
    plugin: Annotated[
        str | None, typer.Option("--plugin", metavar="clear|sea", help="Attach it.")
    ] = None,
    set_: opt.Set = None,
    chosen_by: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="Options chosen by a bench or a tune there."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on after an interruption, or to more epochs."
        ),
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Write the history there."),
    ] = None,
    config: Config = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train one system, keep its best epoch, test it once.

    --from takes the options that a benchmark or a search chose for this system; --set
    goes over them. With --split none every pair trains, for as many epochs as were best
    there, or --epochs.

    Example: mmgraph train FREEDOM+CLEAR --data DIR --out runs/freedom --set lr=1e-3
    """
    opt.set_up(seed, device, threads, quiet)
    from functools import partial

    from mmgraph.bench.config import canonical, run_config
    from mmgraph.bench.source import DataSource
    from mmgraph.bench.spec import parse_spec
    from mmgraph.bench.training import train_run
    from mmgraph.cli.progress import training_bar

    spec = parse_spec(model)
    if plugin and spec.plugin and name_key(plugin) != name_key(spec.plugin):
        raise UserError(
            f"{model} has the plug-in {spec.plugin}, --plugin is {plugin}", "give one"
        )
    spec = replace(spec, plugin=plugin or spec.plugin)
    settings: dict[str, Any] = {}
    if chosen_by is not None:
        from mmgraph.tuning.chosen import chosen_options

        settings, best_epoch = chosen_options(chosen_by, canonical(spec))
        epochs = best_epoch if split_rule == "none" and epochs is None else epochs
    if split_rule == "none" and epochs is None:
        raise UserError(
            "--split none leaves nothing to stop by",
            "give --epochs, those that a run with validation had best, or --from",
        )
    watch: Watch = partial(training_bar, quiet=quiet)
    if tensorboard is not None:
        from mmgraph.bench.jobs.tensorboard import to_tensorboard

        watch = to_tensorboard(tensorboard, watch)
    info = train_run(
        run_config(spec, settings | opt.read_settings(set_, epochs), strict=True),
        DataSource(data, split_rule),
        out,
        seed=seed,
        device=device,
        resume=resume,
        threads=threads,
        watch=watch,
    )
    if as_json:
        opt.emit_json({"run": str(out), **info})
        return
    if not info["metrics"]:
        epochs_done = f"epoch {info['epochs']} of {info['epochs']}, not validated"
        typer.echo(f"{info['spec']}: {epochs_done}")
        return
    typer.echo(f"{info['spec']}: best epoch {info['best_epoch']} of {info['epochs']}")
    for split, metrics in info["metrics"].items():
        texts = [f"{m} {metrics[m]:.4f}" for m in ("recall@20", "ndcg@20")]
        typer.echo(f"  {split}: {'  '.join(texts)}")
