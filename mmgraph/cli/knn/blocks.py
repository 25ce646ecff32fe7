"""``mmgraph knn blocks`` and ``join``: graphs larger than memory, on many machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmgraph.cli import options as opt
from mmgraph.cli.knn import arguments as arg
from mmgraph.errors import UserError

_COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(bar_width=20),
    MofNCompleteColumn(),
    TextColumn("blocks"),
    TimeRemainingColumn(),
)


def blocks(
    features: Annotated[Path, typer.Argument(help="A .npy file of one modality.")],
    work: Annotated[
        Path, typer.Option("--work", metavar="DIR", help="Folder of the blocks.")
    ],
    k: arg.K = 10,
    metric: arg.Metric = "cosine",
    backend: arg.Backend = "auto",
    nan: opt.Nan = "refuse",
    zero: opt.Zero = "isolate",
    duplicates: opt.Duplicates = "keep",
    ram: Annotated[
        str, typer.Option("--ram", metavar="SIZE", help="Of a process: 500MB, 2GB.")
    ] = "2GB",
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Every N-th block from I on.")
    ] = "1/1",
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, max=1024, help="Processes on this machine."),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Of a Ray cluster, or auto."),
    ] = None,
    seed: opt.Seed = 999,
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Build the exact graph of a file larger than memory, block by block.

    Run it again to go on after a stop; finished blocks are kept. Machines share the
    work with --shard, then mmgraph knn join makes the graph. Example:
    mmgraph knn blocks text_feat.npy --ram 2GB --work w1 --shard 1/3
    """
    if workers > 1 and ray is not None:
        raise UserError("--workers and --ray are both given", "give one of them")
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn.blocks import blocks_report
    from mmgraph.device import resolve_device
    from mmgraph.folders import check_output_folder
    from mmgraph.knn import build_blocks
    from mmgraph.knn.jobs.block_executor import in_processes, on_ray, one_by_one

    check_output_folder(work)
    executor = in_processes(workers) if workers > 1 else one_by_one
    if ray is not None:
        executor = on_ray(ray)

    console = Console(stderr=True, quiet=quiet)
    try:
        with Progress(*_COLUMNS, console=console, disable=quiet) as progress:
            bar = progress.add_task(features.name, total=None)
            folder = build_blocks(
                features,
                k,
                work,
                metric=metric,
                backend=backend,
                nan=nan,
                zero=zero,
                duplicates=duplicates,
                ram=ram,
                shard=shard,
                device=str(resolve_device(device)),
                executor=executor,
                on_block=lambda done, total: progress.update(
                    bar, completed=done, total=total
                ),
            )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(
            str(error), "see mmgraph knn blocks --help", path=features
        ) from None
    result = blocks_report(folder, features)
    if as_json:
        opt.emit_json(result)
        return
    total, missing = result["blocks"], result["missing"]
    typer.echo(f"{work}: {total - missing} of {total} blocks")


def join(
    work: Annotated[list[Path], typer.Argument(help="Folders of mmgraph knn blocks.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A new folder of .npy files.")
    ],
    seed: opt.Seed = 999,
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Join the blocks of all shards to one graph.

    DIR/edge_index.npy holds neighbours and centres, DIR/similarity.npy how similar
    they are; numpy.load(..., mmap_mode="r") opens them without reading. DIR is a graph
    as those of mmgraph knn build: info, verify, insert and merge read it. Example:
    mmgraph knn join w1 w2 w3 --out graph
    """
    opt.set_up(seed, device, threads, quiet)
    from mmgraph.analysis.knn import join_blocks
    from mmgraph.folders import check_new_folder

    check_new_folder(out)
    result = join_blocks(work, out)
    if as_json:
        opt.emit_json(result)
        return
    typer.echo(
        f"{out}: {result['num_edges']} edges of {result['num_nodes']} items, "
        f"{result['zero_rows']} of zeros, {result['nan_rows']} not finite, "
        f"{result['collapsed_rows']} copies collapsed, sha256 {result['graph_sha256']}"
    )
