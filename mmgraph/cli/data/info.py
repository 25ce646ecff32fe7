"""``mmgraph data info``: check a data set and count what it holds."""

from __future__ import annotations

from typing import Annotated

import typer

from mmgraph.cli.data.arguments import Duplicates, Split
from mmgraph.cli.data.report import report_splits
from mmgraph.cli.options import Device, Json, Quiet, Seed, Threads, set_up


def info(
    data: Annotated[str, typer.Argument(help="Data folder, or 'synthetic'.")],
    split: Split = "label",
    seed: Seed = 0,
    duplicates: Duplicates = "error",
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a data set and print its report."""
    set_up(seed, device, threads, quiet)
    from mmgraph.data import load_dataset

    splits = load_dataset(data, split=split, seed=seed, duplicates=duplicates)
    report_splits(splits, data, as_json, quiet)
