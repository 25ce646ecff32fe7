"""From ids and arrays to one ``HeteroData``; all nodes are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.feature_rows import FeatureRows
from mmgraph.data.ids import (
    CodedIds,
    RawIds,
    as_ids,
    check_distinct,
    code_ids,
    match_ids,
)
from mmgraph.data.line_up import item_ids, row_of_each
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
    arrays = {name: _numbers(name, x) for name, x in features.items()}
    user, item = as_ids(user_ids), as_ids(item_ids)
    if len(user) != len(item):
        raise ValueError(
            f"user_ids and item_ids must have one length (got {len(user)}, {len(item)})"
        )
    return build_catalogue(
        code_ids(user),
        code_ids(item),
        arrays,
        row_ids,
        masks=masks,
        users=None if users is None else as_ids(users),
        items=None if items is None else as_ids(items),
        labels=labels,
        timestamps=timestamps,
    )


def build_catalogue(
    user: CodedIds,
    item: CodedIds,
    features: dict[str, np.ndarray],
    feature_ids: Mapping[str, np.ndarray],
    *,
    masks: Mapping[str, Any] | None = None,
    users: np.ndarray | None = None,
    items: np.ndarray | None = None,
    labels: Any = None,
    timestamps: Any = None,
    own_features: bool = False,
) -> HeteroData:
    """:func:`from_interactions` of ids that were read and coded before.

    Args:
        user: Coded user ids of the interactions.
        item: Coded item ids of the interactions.
        features: Array of numbers ``[rows, D_m]`` of each modality.
        feature_ids: Ids of its rows, distinct, for the modalities that have them.
        masks: See there.
        users: See there.
        items: See there.
        labels: See there.
        timestamps: See there.
        own_features: The arrays are nobody else's: each is taken out of ``features``,
            and one that needs neither a cast nor another order is not copied.

    Returns:
        The catalogue.

    Raises:
        UserError: See there.

    Example:
        >>> pairs = code_ids(np.array([4, 7])), code_ids(np.array(["tea", "rum"]))
        >>> build_catalogue(*pairs, {}, {})["item"].raw_id.tolist()
        ['rum', 'tea']
    """
    masks = masks or {}
    user_raw = user.names if users is None else users
    item_raw = _all_items(item.names, features, feature_ids) if items is None else items
    data = HeteroData()
    for kind, raw in ((USER, user_raw), (ITEM, item_raw)):
        check_distinct(raw, what=f"{kind} id", fix=f"keep one of the {kind}s given")
        data[kind].num_nodes = len(raw)
        data[kind].raw_id = raw.view(RawIds)
    for name in list(features):
        array = features.pop(name) if own_features else features[name]
        row, seen = _row_of_each(
            name, len(array), feature_ids.get(name), masks.get(name), item_raw
        )
        values = _of_items(array, row, own=own_features)
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


def _column(key: str, values: np.ndarray, user: CodedIds) -> torch.Tensor:
    if values.shape != user.code.shape:
        raise ValueError(
            f"one {key} per interaction is needed (got {list(values.shape)} "
            f"for {len(user.code)})"
        )
    return torch.from_numpy(values.copy())


def _labels(labels: Any) -> np.ndarray:
    array = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if array.dtype.kind not in "iu":
        raise UserError(
            f"labels are {array.dtype}", "write 0 (train), 1 (valid) or 2 (test)"
        )
    return array.astype(np.int64)


def _numbers(name: str, values: Any) -> np.ndarray:
    """A matrix of numbers of any width; :func:`_of_items` casts it, block by block."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values if values.is_complex() else values.float()).numpy()
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiubO":
            raise TypeError(f"got {array.dtype}")
        if array.dtype.kind == "O":
            array = array.astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{name} features are no matrix of numbers ({error})", "convert them"
        ) from error
    if array.ndim != 2:
        raise ValueError(f"features must be two-dimensional (got shape {array.shape})")
    return array


def _all_items(
    item: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    row_ids: Mapping[str, np.ndarray],
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


def _positions(kind: str, known: np.ndarray, ids: CodedIds) -> np.ndarray:
    if known is ids.names:
        return ids.code
    index: np.ndarray = match_ids(known, ids.names)[ids.code]
    unknown = np.flatnonzero(index < 0)
    if unknown.size:
        name = ids.names[ids.code[unknown[0]]].item()
        raise UserError(
            f"{kind} id {name!r} of interaction {unknown[0]} is not "
            f"among the {kind}s given",
            f"add it to {kind}s, or leave the interaction out",
        )
    return index


def _row_of_each(
    name: str, rows: int, ids: np.ndarray | None, mask: Any, item_raw: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    """Row of each item, None if row = item, and which items have one."""
    known = np.ones(rows, bool) if mask is None else np.array(mask, dtype=bool)
    if known.shape != (rows,):
        raise ValueError(f"mask of {name} must have one entry per row of the features")
    if ids is None:
        if rows != len(item_raw):
            raise UserError(
                f"{name} features have {rows} rows for {len(item_raw)} items",
                "give one row per item, or feature_ids",
            )
        return None, known
    if len(ids) != rows:
        raise UserError(
            f"{name} features have {rows} rows and {len(ids)} ids",
            "give one id per row",
        )
    row = row_of_each(item_raw, ids)
    if row is None:
        return None, known
    seen = row >= 0
    seen[seen] = known[row[seen]]
    return row, seen


def _of_items(array: np.ndarray, row: np.ndarray | None, *, own: bool) -> np.ndarray:
    """float32 features in the order of the items, cast block by block.

    A writable copy of its own, so that what came in stays untouched, unless it is ours.
    """
    in_memory = type(array) is np.ndarray and array.flags.writeable
    ready = row is None and array.dtype == np.float32 and array.flags.c_contiguous
    if own and in_memory and ready:
        return array
    return FeatureRows(array, row).to_float32()
