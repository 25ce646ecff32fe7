"""Users and items of a catalogue that an earlier one did not have."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.bench.experiment import Splits
from mmgraph.data.ids import match_ids, original_ids, pair_keys
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.models.parts.growth import COLD_ITEMS, ITEMS, USERS, Places
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, modalities

logger = logging.getLogger(__name__)


def places_of(old: HeteroData, new: HeteroData) -> Places:
    """Where the users and items of a catalogue stood in an earlier one, by their ids.

    Args:
        old: The earlier catalogue.
        new: The later one.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> old = from_interactions(["bob"], ["tea"])
        >>> new = from_interactions(["ann", "bob"], ["rum", "tea"])
        >>> places_of(old, new).users
        tensor([-1,  0])
    """
    users, items = (
        torch.from_numpy(match_ids(_ids(old, kind), _ids(new, kind)))
        for kind in (USER, ITEM)
    )
    return Places(users, items, int(old[USER].num_nodes))


def _ids(data: HeteroData, kind: str) -> np.ndarray:
    return original_ids(data[kind].raw_id)


def count_newcomers(old: HeteroData, new: HeteroData, places: Places) -> dict[str, int]:
    """Users and items that came and went: ``new_users``, ``new_items``, ....

    New items without an interaction in training are ``new_cold_items``.

    Args:
        old: The training split of the earlier catalogue.
        new: That of the later one.
        places: As :func:`places_of` gives them.
    """
    is_new = places.items < 0
    active = torch.zeros_like(is_new)
    active[new[INTERACTS].edge_index[1]] = True
    return {
        "new_users": int((places.users < 0).sum()),
        "new_items": int((is_new & active).sum()),
        "new_cold_items": int((is_new & ~active).sum()),
        "gone_users": int(old[USER].num_nodes) - int((places.users >= 0).sum()),
        "gone_items": int(old[ITEM].num_nodes) - int((~is_new).sum()),
    }


def check_features(old: HeteroData, new: HeteroData, model: str) -> None:
    """Refuse new data whose modalities are not those of the old.

    Args:
        old: The earlier catalogue.
        new: The later one.
        model: Name of the system, for the message.

    Raises:
        UserError: If one lacks, is wider or narrower, or was not there.
    """
    dims = [
        {m: data[ITEM][feature_key(m)].size(1) for m in modalities(data)}
        for data in (old, new)
    ]
    for name, dim in dims[0].items():
        if dims[1].get(name) != dim:
            has = f"{dims[1][name]} numbers" if name in dims[1] else "nothing"
            raise UserError(
                f"the new data have {has} for {name!r}, {model} was trained on {dim} "
                "numbers per item",
                "encode the new items as the old ones were",
            )
    more = sorted(dims[1].keys() - dims[0].keys())
    if more:
        raise UserError(
            f"the new data have {', '.join(map(repr, more))}, on which {model} was not "
            "trained",
            "leave these files out of the folder, or train again",
        )


def check_takes(model: Recommender, counts: Mapping[str, int]) -> None:
    """Refuse whom a system cannot take, warn of items that it cannot rank.

    Args:
        model: The system.
        counts: As :func:`count_newcomers` gives them.

    Raises:
        UserError: If new users or items came that it does not take without training.
    """
    name = type(model).__name__
    for kind in (USERS, ITEMS):
        count = counts[f"new_{kind}"]
        if count and kind not in model.growth.takes:
            raise UserError(
                f"{name} does not take new {kind} without training ({count} came)",
                "give --epochs to train on, or train it again",
            )
    count = counts["new_cold_items"]
    if count and COLD_ITEMS not in model.growth.takes:
        logger.warning(
            "%d new items have no interaction yet, and %s has no other way to rank "
            "them; a system that reads features has, FREEDOM for example",
            *(count, name),
        )


def warn_of_seen_pairs(old: HeteroData, splits: Splits, places: Places) -> None:
    """Say how many held-out pairs the run was trained on.

    Args:
        old: The training split of the run.
        splits: The new data.
        places: As :func:`places_of` gives them.
    """
    num_items = int(old[ITEM].num_nodes)
    user, item = old[INTERACTS].edge_index.numpy()
    seen = pair_keys(user, item, num_items)
    held_out = torch.cat([s[INTERACTS].edge_label_index for s in splits[1:]], dim=1)
    before = places.users[held_out[0]].numpy(), places.items[held_out[1]].numpy()
    known = (before[0] >= 0) & (before[1] >= 0)
    pairs = pair_keys(before[0][known], before[1][known], num_items)
    count = int(np.isin(pairs, seen).sum())
    if count:
        logger.warning(
            "%d of the %d held-out pairs were trained on in the run: metrics flatter",
            *(count, held_out.size(1)),
        )
