"""Check a catalogue against the schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.ids import check_distinct, first_duplicate, pair_keys
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import WORKING_COPY
from mmgraph.schema import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    feature_key,
    mask_key,
    modalities,
)


def validate(data: HeteroData) -> None:
    """Check one split object against the schema (see :mod:`mmgraph.schema`).

    Node counts are explicit and users come first; edges are int64, in range and
    distinct; reverse edges mirror the interactions; features are finite float32 with
    one row per item, masks boolean; original ids are distinct, times finite.

    Args:
        data: The catalogue.

    Raises:
        UserError: At the first rule broken, naming it.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> data = from_interactions([0, 1], [0, 1])
        >>> validate(data)
        >>> data["user", "interacts", "item"].edge_index[1, 0] = 9
        >>> validate(data)
        Traceback (most recent call last):
        mmgraph.errors.UserError: edge_index[1, 0] is item 9 of 2 - keep it in 0..1
    """
    _validate(data, _Checked())


@dataclass
class _Checked:
    """What was checked already: split objects share most of what they hold.

    Attributes:
        keys: Ascending keys of each list of edges, by its identity and the node counts.
        others: Identities and counts of ids, mirrored edges and features.
    """

    keys: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)
    others: set[tuple[Any, ...]] = field(default_factory=set)

    def is_new(self, *thing: Any) -> bool:
        """True the first time."""
        new = thing not in self.others
        self.others.add(thing)
        return new


def _validate(data: HeteroData, checked: _Checked) -> None:
    if data.node_types[:2] != [USER, ITEM]:
        raise UserError(
            f"node types are {data.node_types}, not user then item",
            "build the catalogue with from_interactions",
        )
    for kind in (USER, ITEM):
        if "num_nodes" not in data[kind]:
            raise UserError(f"data['{kind}'].num_nodes is not set", "set it")
        raw_id, count = data[kind].get("raw_id"), int(data[kind].num_nodes)
        if checked.is_new(kind, id(raw_id), count):
            _check_ids(kind, raw_id, count)
    if INTERACTS not in data.edge_types:
        raise UserError(f"no edges {INTERACTS}", "add the interactions")
    for name in ("edge_index", "edge_label_index"):
        if name not in data[INTERACTS]:
            raise UserError(f"{INTERACTS} has no {name}", "add it")
        _check_edges(data, name, checked)
    if REV_INTERACTS in data.edge_types:
        edges, mirror = (data[t].edge_index for t in (INTERACTS, REV_INTERACTS))
        new = checked.is_new("mirror", id(edges), id(mirror))
        if new and not torch.equal(mirror, edges.flip(0)):
            raise UserError(
                "rev_interacts is not the mirror of interacts",
                "set it to edge_index.flip(0)",
            )
    for name in ("time", "edge_label_time"):
        if name in data[INTERACTS]:
            _check_times(name, data[INTERACTS][name])
    for modality in modalities(data):
        _check_features(data, modality, checked)


def check_split(
    train: HeteroData, val: HeteroData, test: HeteroData, *, held_out: bool = True
) -> None:
    """Check three split objects: each on its own, then that nothing leaks.

    All three pass messages along the same training edges, the positives of ``train``
    are those edges, and the positives of the three are disjoint and not empty.

    Args:
        train: The training object.
        val: The validation object.
        test: The test object.
        held_out: False if validation and test may be empty.

    Raises:
        UserError: At the first rule broken; a leaked pair is named.

    Example:
        >>> from mmgraph.data import synthetic
        >>> train, val, test, _ = synthetic(num_users=30, num_items=40)
        >>> check_split(train, val, test)
    """
    _check_splits({"train": train, "valid": val, "test": test}, held_out=held_out)


def check_splits(train: HeteroData, **held_out: HeteroData) -> None:
    """:func:`check_split` of a training object and any others, by name.

    Raises:
        UserError: At the first rule broken; a leaked pair is named.

    Example:
        >>> from mmgraph.data import synthetic
        >>> train, val, _, _ = synthetic(num_users=30, num_items=40)
        >>> check_splits(train, valid=val)
    """
    _check_splits({"train": train, **held_out}, held_out=True)


def _check_splits(splits: dict[str, HeteroData], *, held_out: bool) -> None:
    train, keys, checked = splits["train"], {}, _Checked()
    for name, data in splits.items():
        _validate(data, checked)
        _check_same_nodes(name, data, train)
        edges, training = (split[INTERACTS].edge_index for split in (data, train))
        if edges is not training and not torch.equal(edges, training):
            raise UserError(
                f"edge_index of {name} is not that of train",
                "pass messages along training edges only",
            )
        _check_same_features(name, data, train)
        positives = data[INTERACTS].edge_label_index
        if positives.size(1) == 0 and (held_out or data is train):
            raise UserError(f"the {name} split is empty", "use another split")
        keys[name] = _check_edges(data, "edge_label_index", checked)
    if not np.array_equal(keys["train"], _check_edges(train, "edge_index", checked)):
        raise UserError(
            "edge_index of train is not its edge_label_index",
            "pass messages along training edges only",
        )
    for one, other in combinations(keys, 2):
        shared = _first_shared(keys[one], keys[other])
        if shared is not None:
            user, item = divmod(shared, int(train[ITEM].num_nodes))
            raise UserError(
                f"{_called(train, user, item)} are in {one} and in {other}",
                "keep the pair in one split",
            )


def _first_shared(one: np.ndarray, other: np.ndarray) -> int | None:
    """The smallest number that two ascending arrays share."""
    few, many = sorted((one, other), key=len)
    if not len(few):
        return None
    place = np.searchsorted(many, few)
    place[place == len(many)] = 0
    shared = few[many[place] == few]
    return int(shared[0]) if shared.size else None


def _check_same_features(name: str, data: HeteroData, train: HeteroData) -> None:
    for modality in modalities(train):
        key = feature_key(modality)
        own, trained = data[ITEM].get(key), train[ITEM][key]
        if own is not trained and (own is None or not torch.equal(own, trained)):
            raise UserError(
                f"{key} of {name} is not that of train", "give all splits one catalogue"
            )


def check_positives(data: HeteroData) -> None:
    """Check the edges of one object, and that none of its positives is among them.

    Raises:
        UserError: If an edge is out of range or twice there, or a positive is a
            training edge; it is named.

    Example:
        >>> from mmgraph.data import synthetic
        >>> train, val, _, _ = synthetic(num_users=30, num_items=40)
        >>> check_positives(val)
    """
    checked = _Checked()
    edges, positives = (
        _check_edges(data, name, checked) for name in ("edge_index", "edge_label_index")
    )
    shared = _first_shared(edges, positives)
    if shared is not None:
        user, item = divmod(shared, int(data[ITEM].num_nodes))
        raise UserError(
            f"{_called(data, user, item)} are a positive of the split and a training "
            "edge",
            "pass messages along training edges only",
        )


def _check_same_nodes(name: str, data: HeteroData, train: HeteroData) -> None:
    for kind in (USER, ITEM):
        if data[kind].num_nodes != train[kind].num_nodes:
            raise UserError(
                f"{name} has {data[kind].num_nodes} {kind} nodes, "
                f"train has {train[kind].num_nodes}",
                "split one catalogue",
            )
        ids, expected = data[kind].get("raw_id"), train[kind].get("raw_id")
        if ids is None or expected is None or ids is expected:
            continue
        if not np.array_equal(np.asarray(ids), np.asarray(expected)):
            raise UserError(
                f"{name} has other {kind} ids than train", "split one catalogue"
            )


def _keys(data: HeteroData, edges: Tensor) -> np.ndarray:
    user, item = edges.cpu().numpy()
    return pair_keys(user, item, int(data[ITEM].num_nodes))


def _called(data: HeteroData, user: int, item: int) -> str:
    """A pair by its original ids, where the catalogue has them."""
    names: list[Any] = [user, item]
    for end, kind in enumerate((USER, ITEM)):
        ids = data[kind].get("raw_id")
        if ids is not None:
            names[end] = np.asarray(ids)[names[end]].item()
    return f"user {names[0]!r} and item {names[1]!r}"


def _check_ids(kind: str, raw_id: Any, num_nodes: int) -> None:
    if raw_id is None:
        return
    if len(raw_id) != num_nodes:
        raise UserError(
            f"{kind} raw_id has {len(raw_id)} ids for {num_nodes} nodes",
            "give one each",
        )
    check_distinct(np.asarray(raw_id), what=f"{kind} id", fix="keep one of them")


def _check_edges(data: HeteroData, name: str, checked: _Checked) -> np.ndarray:
    """Ascending keys of a sound list of edges."""
    edges = data[INTERACTS][name]
    known = (id(edges), int(data[USER].num_nodes), int(data[ITEM].num_nodes))
    if known not in checked.keys:
        _check_ends(data, name, edges)
        keys = _keys(data, edges)
        ascending = np.sort(keys)
        if (ascending[1:] == ascending[:-1]).any():
            raise _stands_twice(data, name, edges, keys)
        checked.keys[known] = ascending
    return checked.keys[known]


def _check_ends(data: HeteroData, name: str, edges: Tensor) -> None:
    if edges.dtype != torch.long or edges.dim() != 2 or edges.size(0) != 2:
        raise UserError(
            f"{name} is {edges.dtype} {list(edges.shape)}, not int64 [2, E]",
            "convert it",
        )
    for row, kind in enumerate((USER, ITEM)):
        count = int(data[kind].num_nodes)
        outside = ((edges[row] < 0) | (edges[row] >= count)).nonzero()
        if len(outside):
            edge = int(outside[0])
            raise UserError(
                f"{name}[{row}, {edge}] is {kind} {int(edges[row, edge])} of {count}",
                f"keep it in 0..{count - 1}",
            )


def _stands_twice(
    data: HeteroData, name: str, edges: Tensor, keys: np.ndarray
) -> UserError:
    twice = first_duplicate(keys)
    assert twice is not None
    return UserError(
        f"{_called(data, *edges[:, twice[0]].tolist())} stand in {name} twice "
        f"(positions {twice[0]} and {twice[1]})",
        "keep one of them",
    )


def _check_times(name: str, times: Tensor) -> None:
    """A time that is NaN would come last in every order."""
    broken = (~torch.isfinite(times)).nonzero()
    if len(broken):
        raise UserError(f"{name}[{int(broken[0])}] is not finite", "mend it")


def _check_features(data: HeteroData, modality: str, checked: _Checked) -> None:
    x, mask = data[ITEM][feature_key(modality)], data[ITEM].get(mask_key(modality))
    count = int(data[ITEM].num_nodes)
    if not checked.is_new(modality, id(x), id(mask), count):
        return
    if x.dtype != torch.float32 or x.dim() != 2:
        raise UserError(
            f"{modality} features are {x.dtype} {list(x.shape)}, not float32 [I, D]",
            "convert them",
        )
    if x.size(0) != count:
        raise UserError(
            f"{modality} features have {x.size(0)} rows for {count} items",
            "give one row per item",
        )
    first_row = 0
    for rows in WORKING_COPY.split(x):
        broken = (~rows.isfinite().all(dim=1)).nonzero()
        if len(broken):
            row = first_row + int(broken[0])
            raise UserError(
                f"row {row} of the {modality} features holds NaN or infinity",
                "repair it, or give zeros there and False in the mask",
            )
        first_row += len(rows)
    if mask is not None and (mask.dtype != torch.bool or mask.shape != (count,)):
        raise UserError(
            f"{mask_key(modality)} is {mask.dtype} {list(mask.shape)}, "
            f"not bool [{count}]",
            "convert it",
        )
