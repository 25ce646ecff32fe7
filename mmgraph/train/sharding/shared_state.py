"""The state of a run whose processes share the embeddings, as a checkpoint has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from mmgraph.distributed.columns import columns_of_first, whole_matrix
from mmgraph.distributed.exchange import take_from_first
from mmgraph.distributed.world import world
from mmgraph.models.base import Recommender
from mmgraph.train.sharding.column_tables import (
    column_tables,
    shared_dim,
    shared_weights,
)


def shared_keys(
    model: Recommender, optimizers: Mapping[str, torch.optim.Optimizer]
) -> set[str]:
    """Names of the tensors of which each process has its columns; mostly none.

    Args:
        model: The model.
        optimizers: Its optimisers by name.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> shared_keys(MFBPR(2, 3), {})
        set()
    """
    names = [f"{name}.weight" for name in column_tables(model)]
    keys = {f"{part}/{name}" for part in ("model", "best") for name in names}
    weights = shared_weights(model)
    for name, optimizer in optimizers.items():
        groups = (group["params"] for group in optimizer.param_groups)
        for index, parameter in enumerate(chain.from_iterable(groups)):
            if parameter in weights:
                moments = ("exp_avg", "exp_avg_sq")
                keys |= {f"optimizer/{name}/{index}.{moment}" for moment in moments}
    return keys


def whole_state(
    model: Recommender, tensors: dict[str, Tensor], shared: set[str]
) -> dict[str, Tensor]:
    """The tensors with whole matrices in the first process; all must call it.

    Args:
        model: The model.
        tensors: Tensors by name, the same names everywhere.
        shared: Those that are shared.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> whole_state(MFBPR(2, 3), {"best": torch.ones(1)}, set())
        {'best': tensor([1.])}
    """
    dim = shared_dim(model)
    if dim is None:
        return tensors
    whole = {
        key: whole_matrix(tensors[key], dim, in_all=False)
        for key in sorted(shared & tensors.keys())
    }
    return tensors | whole


def state_of_first(
    model: Recommender,
    tensors: Mapping[str, Tensor],
    names: Iterable[Any],
    shared: set[str],
    device: torch.device,
) -> dict[str, Tensor]:
    """The tensors of the first process in all; of those that are shared, own columns.

    Args:
        model: The model.
        tensors: In the first process, tensors by name.
        names: Name, dtype and size of each, the same everywhere.
        shared: Those that are shared.
        device: Where they are put.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> given = {"best": torch.ones(1)}, [["best", "float32", 1]], set()
        >>> state_of_first(MFBPR(2, 3), *given, torch.device("cpu"))
        {'best': tensor([1.])}
    """
    dim, taken = shared_dim(model), {}
    for key, dtype, *shape in names:
        given: dict[str, Any] = {"dtype": getattr(torch, dtype), "device": device}
        if dim is not None and key in shared:
            columns = world().share(dim)
            width = columns.stop - columns.start
            taken[key] = torch.empty(shape[0], width, **given)
            columns_of_first(tensors.get(key), taken[key], dim)
        elif world().is_first:
            taken[key] = tensors[key].to(device)
            take_from_first({key: taken[key]})
        else:
            taken[key] = torch.empty(shape, **given)
            take_from_first({key: taken[key]})
    return taken
