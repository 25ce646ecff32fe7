"""From ids and arrays to one ``HeteroData``; all nodes are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.feature_rows import FeatureRows
from mmgraph.data.ids import RawIds, as_ids, check_distinct, match_ids
from mmgraph.data.line_up import item_ids
from mmgraph.data.times import as_times
from mmgraph.data.validation import validate
from mmgraph.errors import UserError
from mmgraph.schema import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    feature_key,
    mask_key,
)


def from_interactions(
    user_ids: Any,
    item_ids: Any,
    *,
    features: Mapping[str, Any] | None = None,
    feature_ids: Mapping[str, Any] | None = None,
    masks: Mapping[str, Any] | None = None,
    users: Any = None,
    items: Any = None,
    labels: Any = None,
    timestamps: Any = None,
) -> HeteroData:
    """Build a catalogue from interaction pairs and feature arrays.

    All pairs become both message-passing edges and positives: a training object as it
    stands, and the input of the splits (:func:`~mmgraph.data.split_per_user`, ...).

    Which row belongs to which item: the row of ``feature_ids[modality]`` where ids are
    given; else the position in ``items``; else the item id itself, which must then be
    an integer from 0 to rows - 1. Items without a row get zeros and False in the mask.

    Args:
        user_ids: User id of each interaction, integers or strings.
        item_ids: Item id of each interaction.
        features: Array ``[rows, D_m]`` of each modality; kept as float32.
        feature_ids: Item id of each feature row, for the modalities that have them.
        masks: Boolean ``[rows]`` of a modality, False where the row is a stand-in.
        users: All user ids in the order of the nodes; by default those of the pairs,
            ascending.
        items: All item ids in the order of the nodes; feature rows of other ids are
            left out. By default the ids of the pairs and of ``feature_ids``, ascending,
            or ``0..rows - 1`` with features that have no ids.
        labels: 0 (train), 1 (valid) or 2 (test) of each interaction, kept as
            ``split_label``.
        timestamps: Time of each interaction, kept as ``time``: numbers, dates or ISO
            strings, see :func:`mmgraph.data.times.as_times`.

    Returns:
        ``HeteroData`` with ``user`` and ``item`` nodes (``num_nodes``, ``raw_id``),
        features, masks, and edges in the given order.

    Raises:
        UserError: If ids are unknown or doubled, rows and items do not match, a pair
            occurs twice, a time is missing or out of range, or a feature is not finite.

    Example:
        >>> data = from_interactions(
        ...     ["ann", "bob", "bob"],
        ...     ["tea", "rum", "tea"],
        ...     features={"visual": [[1.0, 2.0], [3.0, 4.0]]},
        ...     feature_ids={"visual": ["tea", "ale"]},
        ... )
        >>> data["item"].raw_id.tolist()
        ['ale', 'rum', 'tea']
        >>> data["item"].mask_visual
        tensor([ True, False,  True])
        >>> data["user", "interacts", "item"].edge_index
        tensor([[0, 1, 1],
                [2, 1, 2]])
    """
    features, masks = features or {}, masks or {}
    row_ids = {name: as_ids(ids) for name, ids in (feature_ids or {}).items()}
    _check_names(features, masks, row_ids)
    for name, ids in row_ids.items():
        check_distinct(ids, f"{name} features")
    arrays = {name: _float32(name, x) for name, x in features.items()}
    user, item = as_ids(user_ids), as_ids(item_ids)
    if len(user) != len(item):
        raise ValueError(
            f"user_ids and item_ids must have one length (got {len(user)}, {len(item)})"
        )
    user_raw = np.unique(user) if users is None else as_ids(users)
    item_raw = _all_items(item, arrays, row_ids) if items is None else as_ids(items)

    data = HeteroData()
    for kind, raw in ((USER, user_raw), (ITEM, item_raw)):
        check_distinct(raw, what=f"{kind} id", fix=f"keep one of the {kind}s given")
        data[kind].num_nodes = len(raw)
        data[kind].raw_id = raw.view(RawIds)
    for name, array in arrays.items():
        values, seen = _rows_to_items(
            name, array, row_ids.get(name), masks.get(name), item_raw
        )
        data[ITEM][feature_key(name)] = torch.from_numpy(values)
        if name in masks or not seen.all():
            data[ITEM][mask_key(name)] = torch.from_numpy(seen)
    edges = torch.from_numpy(
        np.stack([_positions(USER, user_raw, user), _positions(ITEM, item_raw, item)])
    )
    data[INTERACTS].edge_index = edges
    data[INTERACTS].edge_label_index = edges
    data[REV_INTERACTS].edge_index = edges.flip(0)
    if labels is not None:
        data[INTERACTS].split_label = _column("split_label", _labels(labels), user)
    if timestamps is not None:
        data[INTERACTS].time = _column("time", as_times(timestamps), user)
    validate(data)
    return data


def _check_names(*given: Mapping[str, Any]) -> None:
    features, *others = given
    for name in (name for other in others for name in other):
        if name not in features:
            raise ValueError(f"no features of modality {name!r} (got {list(features)})")


def _column(key: str, values: np.ndarray, user: np.ndarray) -> torch.Tensor:
    if values.shape != (len(user),):
        raise ValueError(
            f"one {key} per interaction is needed (got {list(values.shape)} "
            f"for {len(user)})"
        )
    return torch.from_numpy(values.copy())


def _labels(labels: Any) -> np.ndarray:
    array = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if array.dtype.kind not in "iu":
        raise UserError(
            f"labels are {array.dtype}", "write 0 (train), 1 (valid) or 2 (test)"
        )
    return array.astype(np.int64)


def _float32(name: str, values: Any) -> np.ndarray:
    """Widen before anything is summed: float16 overflows in a column sum."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values if values.is_complex() else values.float()).numpy()
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiubO":
            raise TypeError(f"got {array.dtype}")
        with np.errstate(over="ignore"):  # an overflow shows as infinity, refused later
            array = array.astype(np.float32, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{name} features are no matrix of numbers ({error})", "convert them"
        ) from error
    if array.ndim != 2:
        raise ValueError(f"features must be two-dimensional (got shape {array.shape})")
    return array


def _all_items(
    item: np.ndarray, arrays: dict[str, np.ndarray], row_ids: dict[str, np.ndarray]
) -> np.ndarray:
    """Every item that an interaction or a feature row names."""
    num_rows = {name: len(array) for name, array in arrays.items()}
    by_position = [name for name in arrays if name not in row_ids]
    if by_position:
        rows = num_rows[by_position[0]]
        if item.dtype.kind != "i" or (len(item) and item.min() < 0):
            raise UserError(
                f"{by_position[0]} features have no ids and the item ids are not "
                "row numbers",
                "give feature_ids, or items in the order of the rows",
            )
        if len(item) and item.max() >= rows:
            raise UserError(
                f"item id {item.max()} has no row among the {rows} of the "
                f"{by_position[0]} features",
                "give one row per item, or feature_ids",
            )
    labels = {name: f"{name} features" for name in arrays}
    items = item_ids(num_rows, row_ids, others=[item], labels=labels)
    assert items is not None  # those of the interactions at least
    return items


def _positions(kind: str, known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    index = match_ids(known, ids)
    unknown = np.flatnonzero(index < 0)
    if unknown.size:
        raise UserError(
            f"{kind} id {ids[unknown[0]].item()!r} of interaction {unknown[0]} is not "
            f"among the {kind}s given",
            f"add it to {kind}s, or leave the interaction out",
        )
    return index


def _rows_to_items(
    name: str,
    array: np.ndarray,
    ids: np.ndarray | None,
    mask: Any,
    item_raw: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Feature rows in the order of the items, and which items have one."""
    known = np.ones(len(array), bool) if mask is None else np.asarray(mask, dtype=bool)
    if known.shape != (len(array),):
        raise ValueError(f"mask of {name} must have one entry per row of the features")
    if ids is None:
        if len(array) != len(item_raw):
            raise UserError(
                f"{name} features have {len(array)} rows for {len(item_raw)} items",
                "give one row per item, or feature_ids",
            )
        # A writable copy of its own: a memory-mapped input stays untouched.
        return np.array(array, order="C"), known.copy()
    if len(ids) != len(array):
        raise UserError(
            f"{name} features have {len(array)} rows and {len(ids)} ids",
            "give one id per row",
        )
    row = match_ids(ids, item_raw)
    seen = row >= 0
    seen[seen] = known[row[seen]]
    return FeatureRows(array, row).matrix, seen
