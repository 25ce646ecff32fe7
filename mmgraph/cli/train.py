"""``mmgraph train``: train one system into a run directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mmgraph.cli import options as opt
from mmgraph.errors import UserError


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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after an interruption.")
    ] = False,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train one system, keep its best epoch, test it once.

    Example: mmgraph train FREEDOM+CLEAR --data DIR --out runs/freedom --set lr=1e-3
    """
    opt.prepare(seed, device, threads, quiet)
    from mmgraph.bench.config import canonical, check_settings, resolve
    from mmgraph.bench.experiment import build, make_trainer, run_experiment
    from mmgraph.bench.run_directory import (
        CHECKPOINT,
        begin_run,
        finished_info,
        give_up_run,
        read_info,
        save_run,
    )
    from mmgraph.bench.source import DataSource
    from mmgraph.bench.spec import parse_options, parse_spec
    from mmgraph.cli.progress import training_bar
    from mmgraph.models.registry import resolve_plugin

    spec = parse_spec(model)
    plugins = {resolve_plugin(name)[0] for name in (spec.plugin, plugin) if name}
    if len(plugins) > 1:
        raise UserError(
            f"{model} has the plug-in {spec.plugin}, --plugin is {plugin}", "give one"
        )
    spec = canonical(replace(spec, plugin=plugin) if plugin else spec)
    settings = parse_options(set_ or [])
    check_settings(settings, [spec])
    if epochs is not None:
        settings["epochs"] = epochs
    run = resolve(spec, settings)
    source = DataSource(data, split_rule)
    splits, sha256 = source.load()
    build(run, splits[0])  # a mistake shows before anything is written
    make_trainer(run, seed, device)
    going_on = begin_run(out, run.key(seed, sha256), resume=resume)
    if not (going_on and read_info(out)["status"] == "finished"):
        try:
            with training_bar(
                run.label, seed, run.trainer["epochs"], quiet=quiet
            ) as bar:
                experiment = run_experiment(
                    run,
                    splits,
                    data=source.name,
                    data_sha256=sha256,
                    seed=seed,
                    device=device,
                    on_epoch=bar,
                    checkpoint_dir=out / CHECKPOINT,
                    resume=going_on,
                )
        except Exception:
            give_up_run(out)
            raise
        save_run(out, experiment, source)
    info = finished_info(out)
    if as_json:
        opt.emit_json({"run": str(out), **info})
        return
    typer.echo(f"{info['spec']}: best epoch {info['best_epoch']} of {info['epochs']}")
    for split, metrics in info["metrics"].items():
        texts = [f"{m} {metrics[m]:.4f}" for m in ("recall@20", "ndcg@20")]
        typer.echo(f"  {split}: {'  '.join(texts)}")
