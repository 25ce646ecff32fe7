"""Items of the training split that have every modality."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.schema import ITEM, feature_key, mask_key


def complete_items(context: ExperimentContext) -> Tensor:
    """Ascending indices ``[N]`` of the items that have every modality."""
    store = context.train[ITEM]
    present = torch.ones(store.num_nodes, dtype=torch.bool)
    for m in context.modalities:
        present &= store[feature_key(m)].any(dim=1)
        if mask_key(m) in store:
            present &= store[mask_key(m)]
    return present.nonzero().flatten()


def complete_features(context: ExperimentContext) -> dict[str, Tensor]:
    """Raw features of :func:`complete_items`, the same rows in each modality."""
    rows = complete_items(context)
    return {m: context.train[ITEM][feature_key(m)][rows] for m in context.modalities}
