"""Systems that can be built on a data set, before the first is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch
from torch_geometric.data import HeteroData

from mmgraph.bench.config import RunConfig, check_values
from mmgraph.bench.experiment import build, make_trainer
from mmgraph.errors import UserError

_log = logging.getLogger(__name__)


def buildable(
    runs: Iterable[RunConfig], train: HeteroData, *, required: bool = False
) -> tuple[list[RunConfig], dict[str, str]]:
    """Build every system once, so that a mistake shows at once.

    Parameters take no memory and no time: they are of the device ``meta``.

    Args:
        runs: Systems with all their options.
        train: Training split.
        required: Raise the error of a system that cannot be built.

    Returns:
        The systems that can be built, and by label why the others cannot.

    Raises:
        UserError: If an option is out of its declared range; with ``required``, also
            if the data or its options together do not suit a system.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import run_config
        >>> from mmgraph.bench.spec import ModelSpec
        >>> train, valid, test = load_dataset("synthetic", modalities=[])
        >>> runs = [run_config(ModelSpec(name)) for name in ("LightGCN", "VBPR")]
        >>> accepted, reasons = buildable(runs, train)
        >>> [run.label for run in accepted], list(reasons)
        (['LightGCN'], ['VBPR'])
    """
    accepted, reasons = [], {}
    for run in runs:
        make_trainer(run, seed=0, device="cpu")
        error = _refusal(run, train)
        if error is None:
            accepted.append(run)
            continue
        if required:
            raise error
        check_values(run.options, [run.spec])  # no data would make such a value right
        reasons[run.label] = error.what
        _log.info("%s is left out: %s", run.label, error)
    return accepted, reasons


def _refusal(run: RunConfig, train: HeteroData) -> UserError | None:
    """The error with which a system refuses its data or its options, if it does."""
    try:
        with torch.device("meta"):
            build(run, train)
    except UserError as error:
        return error
    except Exception:  # a constructor that reads what it draws needs real tensors
        build(run, train)
    return None
