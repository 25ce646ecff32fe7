"""How many threads and processes suit a catalogue on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch_geometric.data import HeteroData

from mmgraph.data.formats.budget import free_memory
from mmgraph.device import resolve_device, usable_cores
from mmgraph.distributed.world import processes_here
from mmgraph.schema import ITEM, USER, feature_key, modalities

#: Elements of the largest matrix of a step from which a second thread pays. Below, the
#: threads of small operations wait for each other longer than they work.
_WORTH_A_THREAD = 2**20
_EMBEDDING_DIM = 64
#: Runs that a process must do to be worth its start, a few seconds.
_WORTH_A_PROCESS = 4
#: Memory of a process without data, and how many copies of its features one may hold.
_PROCESS_BYTES, _FEATURE_COPIES = 2**30, 6


def largest_matrix(data: HeteroData) -> int:
    """Elements of the largest matrix that a training step multiplies.

    Args:
        data: A catalogue.

    Example:
        >>> from mmgraph.data import synthetic
        >>> largest_matrix(synthetic(num_users=300, num_items=100)[0])
        25600
    """
    nodes = int(data[USER].num_nodes) + int(data[ITEM].num_nodes)
    sizes = [data[ITEM][feature_key(name)].numel() for name in modalities(data)]
    largest: int = max([nodes * _EMBEDDING_DIM, *sizes])
    return largest


def threads_for(data: HeteroData, cores: int | None = None) -> int:
    """Threads that suit a catalogue: all cores where its matrices are large, or one.

    Args:
        data: The catalogue.
        cores: Cores to use (default: those that this process may use).

    Example:
        >>> from mmgraph.data import synthetic
        >>> threads_for(synthetic(num_users=300, num_items=100)[0], cores=8)
        1
    """
    cores = cores or usable_cores()
    return cores if largest_matrix(data) >= _WORTH_A_THREAD else 1


def jobs_for(
    data: HeteroData, runs: int, threads: int, cores: int | None = None
) -> int:
    """Processes that suit so many runs: they share the cores and the free memory.

    Args:
        data: The catalogue.
        runs: Runs at least; a process is not started for less than a few.
        threads: Threads of each.
        cores: Cores to use (default: those that this process may use).

    Example:
        >>> from mmgraph.data import synthetic
        >>> data = synthetic(num_users=300, num_items=100)[0]
        >>> [jobs_for(data, runs, threads=1, cores=2) for runs in (3, 30)]
        [1, 2]
    """
    cores = cores or usable_cores()
    jobs = min(cores // threads, runs // _WORTH_A_PROCESS)
    features = sum(data[ITEM][feature_key(name)].nbytes for name in modalities(data))
    free = free_memory()
    if free is not None:
        jobs = min(jobs, free // (_PROCESS_BYTES + _FEATURE_COPIES * features))
    return max(1, jobs)


@contextmanager
def run_threads(data: HeteroData, device: str, threads: int = 0) -> Iterator[int]:
    """Compute with as many threads as asked for, or as suit the data.

    Several processes of one training share the cores.

    Args:
        data: The catalogue.
        device: As the trainer takes it; on a GPU nothing changes.
        threads: CPU threads; 0: see :func:`threads_for`.

    Yields:
        The number of threads.

    Example:
        >>> from mmgraph.data import synthetic
        >>> with run_threads(synthetic()[0], "cpu", threads=1) as number:
        ...     number, torch.get_num_threads()
        (1, 1)
    """
    before = torch.get_num_threads()
    if resolve_device(device).type == "cpu":
        cores = usable_cores() // processes_here()
        torch.set_num_threads(threads or threads_for(data, max(1, cores)))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
