"""The exact kNN graph of a matrix larger than memory, block after block."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch

from mmgraph.functional.block_sizes import halved, halves_blocks
from mmgraph.knn.jobs.block_executor import Executor, one_by_one
from mmgraph.knn.jobs.block_plan import BlockPlan, parse_bytes, plan_blocks
from mmgraph.knn.jobs.manifest import MAX_BLOCKS, Manifest, num_blocks
from mmgraph.knn.jobs.work_folder import WorkFolder
from mmgraph.knn.metric.products import MetricProducts, metric_products
from mmgraph.knn.options import check_options
from mmgraph.knn.rows.matrix_statistics import MatrixStatistics, matrix_statistics
from mmgraph.knn.rows.row_source import Features, RowSource
from mmgraph.knn.rows.usable_rows import UsableRows
from mmgraph.knn.search.backends import resolve_backend
from mmgraph.knn.search.block_search import nearest_rows
from mmgraph.shards import parse_shard

_log = logging.getLogger(__name__)

#: The first version that computes blocks with the bits of this one. Its folders go on;
#: raise it with any change of a number.
SAME_SINCE = "0.1.0"


def build_blocks(
    features: Features,
    k: int,
    folder: str | Path,
    *,
    metric: str = "cosine",
    backend: str = "auto",
    include_self: bool = False,
    nan: str = "refuse",
    zero: str = "isolate",
    duplicates: str = "keep",
    ram: str | int = "2GB",
    block_rows: int | None = None,
    shard: str = "1/1",
    device: str = "cpu",
    executor: Executor = one_by_one,
    on_block: Callable[[int, int], None] | None = None,
) -> WorkFolder:
    """Build the graph of :func:`mmgraph.knn.knn_graph` in blocks kept in a folder.

    The grid is centres x neighbours: the neighbours of one block of centres are found
    while the whole matrix goes by in blocks, and written. A build that was stopped goes
    on where it was; blocks that are there and whole are not made again. Several
    machines divide the work by ``shard``, each in its own folder or all in one, or by a
    Ray ``executor``.
    :func:`mmgraph.knn.merge_shards` makes the graph, the same edge for edge as in
    memory, whatever ``ram``, ``block_rows``, ``shard`` and ``executor`` were.

    Args:
        features: A ``.npy`` file, read a block at a time, or an array.
        k: Neighbours per row.
        folder: Of the blocks; made if absent.
        metric: ``cosine``, ``ip`` or ``l2``.
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``.
        include_self: Let a row be its own neighbour.
        nan: ``refuse`` a row with NaN or infinity, or ``isolate`` it as a zero row is.
        zero: ``isolate`` a row of zeros, or ``refuse`` it.
        duplicates: ``keep`` equal rows, or ``collapse`` them onto the first of each
            group, wherever in the matrix they are.
        ram: Memory of the process, as ``"500MB"`` or ``"2GB"``; of each, where an
            ``executor`` uses several.
        block_rows: Rows of a block, in place of what ``ram`` allows.
        shard: ``"i/n"``, every n-th block from the i-th on.
        device: Device of the computation.
        executor: Makes them: :func:`one_by_one`, :func:`in_processes`,
            :func:`on_ray`.
        on_block: Called with the number of finished blocks of this shard, and of all.

    Returns:
        The folder.

    Raises:
        ValueError: An option is out of range, or a row of an array is refused.
        UserError: A file is at fault, or the folder belongs to another build.

    Shapes:
        features: ``[N, D]``.

    Example:
        >>> import tempfile
        >>> from mmgraph.knn.merge import read_shards
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.0, 0.0]])
        >>> work = build_blocks(x, 1, tempfile.mkdtemp() + "/work", block_rows=2)
        >>> read_shards([work.path])[0].tolist()
        [[1, 0, 1], [0, 1, 2]]
    """
    check_options(k=k, metric=metric, backend=backend, block_rows=block_rows)
    first, step = parse_shard(shard)
    parse_bytes(ram)
    source = RowSource(features)
    if source.path is None and executor is not one_by_one:
        raise ValueError("other processes read features from a .npy file: name one")
    plan = _plan(source, k, include_self, ram, block_rows, device, duplicates)
    options = {
        "k": int(k),
        "metric": metric,
        "include_self": bool(include_self),
        "nan": nan,
        "duplicates": duplicates,
    }
    work = _begin(source, folder, options, zero, plan, device)
    mine = range(first - 1, work.num_blocks, step)
    missing = set(work.missing()).intersection(mine)
    left = sorted(missing.union(work.damaged(n for n in mine if n not in missing)))
    _log.info("%d of %d blocks are to be made", len(left), len(mine))
    task = functools.partial(
        build_block,
        features=features if source.path is None else str(source.path.absolute()),
        folder=str(work.path.absolute()),
        neighbour_rows=plan.neighbour_rows,
        backend=backend,
        device=device,
    )
    finished = executor(task, left)
    try:
        for done, _ in enumerate(finished, len(mine) - len(left) + 1):
            if on_block is not None:
                on_block(done, len(mine))
    finally:
        if isinstance(finished, Generator):  # its processes end now, not some time
            finished.close()
    return work


def _plan(
    source: RowSource,
    k: int,
    include_self: bool,
    ram: str | int,
    block_rows: int | None,
    device: str,
    duplicates: str,
) -> BlockPlan:
    if block_rows is not None:
        return BlockPlan(block_rows, block_rows)
    return plan_blocks(
        source.shape,
        source.dtype.itemsize if source.dtype.kind == "f" else 8,
        min(int(k), len(source)) + (not include_self),
        ram=ram,
        device=device,
        digests=duplicates == "collapse",
    )


def _begin(
    source: RowSource,
    folder: str | Path,
    options: dict[str, Any],
    zero: str,
    plan: BlockPlan,
    device: str,
) -> WorkFolder:
    """Make the folder, or go on in it; workers read the statistics from there."""
    metric, nan, duplicates = options["metric"], options["nan"], options["duplicates"]
    statistics = matrix_statistics(
        source, metric, nan=nan, zero=zero, duplicates=duplicates, hashed=True
    )
    scale = metric_products(source, statistics, metric).scale
    manifest = _manifest(source, statistics, options, plan, device)
    work = WorkFolder.begin(folder, manifest)
    work.write_statistics(statistics, scale)
    return work


@torch.no_grad()
@halves_blocks
def build_block(
    number: int,
    *,
    features: Features,
    folder: str | Path,
    neighbour_rows: int,
    backend: str,
    device: str,
) -> None:
    """Make one block of a work folder, in any process that reaches both.

    Args:
        number: Number of the block.
        features: The matrix the folder was begun with.
        folder: The work folder.
        neighbour_rows: Rows its centres are compared with at a time.
        backend: ``auto``, ``torch``, ``faiss`` or ``faiss-gpu``.
        device: Device of the computation.
    """
    work, source = WorkFolder(folder), RowSource(features)
    options, blocks = work.manifest["options"], work.manifest["blocks"]
    statistics, scale = work.read_statistics()
    norm = statistics.norm
    start = number * blocks["rows"]
    stop = min(start + blocks["rows"], len(source))
    centres = UsableRows.read(source, norm, start, stop, device)
    k = min(options["k"], int(norm.count_nonzero()) - (not options["include_self"]))
    if k <= 0 or not len(centres):
        none = torch.zeros((0, max(k, 0)), dtype=torch.float32)
        work.write_block(number, centres.id[:0], none.long(), none)
        return
    neighbour_rows = halved(neighbour_rows)
    starts = range(0, len(source), neighbour_rows)
    neighbour, similarity = nearest_rows(
        (UsableRows.read(source, norm, i, i + neighbour_rows, device) for i in starts),
        MetricProducts(options["metric"], statistics.centre, scale),
        centres,
        k,
        include_self=options["include_self"],
        backend=resolve_backend(backend, torch.device(device)),
    )
    work.write_block(number, centres.id, neighbour, similarity)


def _manifest(
    source: RowSource,
    statistics: MatrixStatistics,
    options: dict[str, Any],
    plan: BlockPlan,
    device: str,
) -> Manifest:
    # Sums of another version or processor may differ in the last digit.
    where = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    if torch.device(device).type == "cuda":
        where = torch.cuda.get_device_name(torch.device(device))
    rows, columns = source.shape
    count = num_blocks(rows, plan.centre_rows)
    if count > MAX_BLOCKS:
        raise ValueError(
            f"block_rows must give at most {MAX_BLOCKS} blocks of the {rows} rows "
            f"(got {plan.centre_rows})"
        )
    return {
        "input": {
            "rows": rows,
            "columns": columns,
            "dtype": source.dtype.newbyteorder("=").name,
            "sha256": statistics.sha256,
        },
        "options": options,
        "isolated": {
            "zero_rows": statistics.zero_rows,
            "nan_rows": statistics.nan_rows,
            "collapsed_rows": statistics.collapsed_rows,
        },
        "blocks": {"rows": plan.centre_rows, "count": count},
        "versions": {
            "format": 2,
            "mmgraph": SAME_SINCE,
            "torch": torch.__version__,
            "arithmetic": where,
        },
    }
