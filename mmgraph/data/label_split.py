"""The split that every other split ends in: by a label per interaction."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, REV_INTERACTS, USER

log = logging.getLogger(__name__)

SPLIT_NAMES = ("train", "valid", "test")
TRAIN, VALID, TEST = range(3)
Split = tuple[HeteroData, HeteroData, HeteroData]


def split_by_label(
    data: HeteroData, label: Any = None, *, held_out: bool = True
) -> Split:
    """Split by a given label: 0 train, 1 valid, 2 test.

    The other splits compute a label and end here. Valid and test pairs of users
    without a training pair are dropped, as the field's benchmark does: no model can
    rank for such a user; their number is kept in ``dropped_rows``.

    Args:
        data: Catalogue of all interactions, see
            :func:`~mmgraph.data.from_interactions`.
        label: 0, 1 or 2 per interaction; ``split_label`` of the catalogue by default.
        held_out: False if valid and test may be empty.

    Returns:
        ``(train, val, test)``: all three hold the training edges as ``edge_index`` and
        their own positives as ``edge_label_index`` (with ``edge_label_time`` where
        times are known). Node stores share their tensors.

    Raises:
        UserError: If there is no label, or a split would be empty.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0, 0, 0], [0, 1, 2], labels=[0, 2, 1])
        >>> train, val, test = split_by_label(data)
        >>> test["user", "interacts", "item"].edge_label_index.tolist()
        [[0], [1]]
        >>> test["user", "interacts", "item"].edge_index.tolist()
        [[0], [0]]
    """
    store = data[INTERACTS]
    if label is None:
        label = store.get("split_label")
    if label is None:
        raise UserError(
            "the interactions carry no split label",
            "add a column 'split' (train, valid, test) or choose another split",
        )
    edges, time = store.edge_index, store.get("time")
    label = torch.as_tensor(label, device=edges.device)
    if label.shape != (edges.size(1),):
        raise ValueError(
            f"one label per interaction is needed (got {list(label.shape)} for "
            f"{edges.size(1)})"
        )
    if ((label < TRAIN) | (label > TEST)).any():
        raise ValueError(f"labels must be 0, 1 or 2 (got {label.unique().tolist()})")

    warm = torch.zeros(int(data[USER].num_nodes), dtype=torch.bool, device=edges.device)
    warm[edges[0, label == TRAIN]] = True
    parts = []
    for number, name in enumerate(SPLIT_NAMES):
        of_split = label == number
        chosen = of_split & warm[edges[0]]
        dropped = int(of_split.sum() - chosen.sum())
        if dropped:
            log.info("%s: %d pairs of users without a training pair", name, dropped)
        if not chosen.any() and (held_out or number == TRAIN):
            raise UserError(
                f"the {name} split is empty ({dropped} pairs dropped)",
                "label more interactions or choose another split",
            )
        parts.append((chosen, dropped))

    in_train = parts[TRAIN][0]
    training = edges[:, in_train]  # one copy for all three, and for its own positives
    mirror = training.flip(0)
    objects = []
    for chosen, dropped in parts:
        split = copy.copy(data)
        own = split[INTERACTS]
        own.edge_index, split[REV_INTERACTS].edge_index = training, mirror
        own.edge_label_index = training if chosen is in_train else edges[:, chosen]
        if "split_label" in own:
            del own.split_label
        if time is not None:
            own.time, own.edge_label_time = time[in_train], time[chosen]
        split.dropped_rows = dropped
        objects.append(split)
    return objects[0], objects[1], objects[2]
