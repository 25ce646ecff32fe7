"""Which systems can be built on a data set, found out before the first is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from torch_geometric.data import HeteroData

from mmgraph.bench.config import Resolved
from mmgraph.bench.experiment import build, make_trainer
from mmgraph.errors import UserError

_log = logging.getLogger(__name__)


def feasible(
    runs: Iterable[Resolved], train: HeteroData, *, must: bool = False
) -> tuple[list[Resolved], dict[str, str]]:
    """Build every system once, so that a mistake shows at once.

    Args:
        runs: Systems with all their options.
        train: Training split.
        must: Whether a system that cannot be built is an error.

    Returns:
        The systems that can be built, and by label why the others cannot.

    Raises:
        UserError: With ``must``, if a system cannot be built; always, if an option of
            the trainer is out of range.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.bench.config import resolve
        >>> from mmgraph.bench.spec import ModelSpec
        >>> train, valid, test = load_dataset("synthetic", modalities=[])
        >>> runs = [resolve(ModelSpec(name)) for name in ("LightGCN", "VBPR")]
        >>> able, reasons = feasible(runs, train)
        >>> [run.label for run in able], list(reasons)
        (['LightGCN'], ['VBPR'])
    """
    able, reasons = [], {}
    for run in runs:
        make_trainer(run, seed=0, device="cpu")
        try:
            build(run, train)
            able.append(run)
        except UserError as error:
            if must:
                raise
            reasons[run.label] = error.what
            _log.info("%s is left out: %s", run.label, error)
    return able, reasons
