"""Adam that changes the rows of a batch alone.

A step of Adam changes every row of every embedding table: one that no gradient reaches
goes on by its momentum. With a million rows that costs far more than the batch. The
row-wise form (``torch.optim.SparseAdam``) leaves such rows, and their moments, as they
are until they are in a batch again. That is another optimiser, not a faster form of the
same: rare users and items move less.
"""

from __future__ import annotations

from typing import Any

import torch

from mmgraph.device import device_of
from mmgraph.distributed.world import world
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.train.sharding.column_tables import shared_dim
from mmgraph.train.training_options import TrainingOptions


def row_wise_optimizer(
    model: Recommender, options: TrainingOptions
) -> torch.optim.SparseAdam | None:
    """The optimiser of a model's embedding tables, where the options ask for it.

    The tables then have sparse gradients.

    Args:
        model: The model.
        options: Options of the training.

    Raises:
        UserError: If the model reads whole tables in every step, there is a weight
            decay, which such an optimiser does not have, or several processes would
            have to exchange sparse gradients of GPUs, which NCCL cannot.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> from mmgraph.train import Trainer
        >>> model = MFBPR(2, 3)
        >>> options = Trainer(optimizer="sparse-adam").options_for(model)
        >>> type(row_wise_optimizer(model, options)).__name__, model.user.sparse
        ('SparseAdam', True)
    """
    tables = model.row_tables(sampled=options.sampled_neighbors is not None)
    for table in model.row_tables(sampled=True):  # as a training before left them
        table.sparse = False
    if options.optimizer != "sparse-adam":
        return None
    if not tables:
        raise UserError(
            f"{type(model).__name__} has no embedding table of which a step reads the "
            "rows of its batch alone",
            "use optimizer=adam"
            + (", or sampled_neighbors, too" if model.sampled_layers() else ""),
        )
    if options.weight_decay:
        raise UserError(
            f"sparse-adam has no weight decay (got {options.weight_decay})",
            "use weight_decay=0, or optimizer=adam",
        )
    on_gpu = device_of(model).type == "cuda"
    if on_gpu and world().size > 1 and shared_dim(model) is None:
        raise UserError(
            "sparse-adam does not train in several processes on GPUs",
            "use one process, shard_embeddings=true, or optimizer=adam",
        )
    for table in tables:
        table.sparse = True
    return torch.optim.SparseAdam(
        _groups(model, {id(table.weight) for table in tables}), lr=options.lr
    )


def dense_groups(
    model: Recommender, row_wise: torch.optim.Optimizer | None
) -> list[dict[str, Any]]:
    """The model's groups of parameters, without those of a row-wise optimiser.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> [len(group["params"]) for group in dense_groups(MFBPR(2, 3), None)]
        [2]
    """
    groups = [] if row_wise is None else row_wise.param_groups
    taken = {id(parameter) for group in groups for parameter in group["params"]}
    return _groups(model, taken, inside=False)


def _groups(
    model: Recommender, chosen: set[int], *, inside: bool = True
) -> list[dict[str, Any]]:
    return [
        {**group, "params": [p for p in group["params"] if (id(p) in chosen) is inside]}
        for group in model.parameter_groups()
    ]
