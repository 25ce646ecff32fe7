"""Checks of the model and the splits that training and evaluation are given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

import mmgraph
from mmgraph.data.content_hash import fingerprint
from mmgraph.distributed.agreement import check_agreement
from mmgraph.distributed.world import world
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.models.parts.item_features import given_features
from mmgraph.schema import INTERACTS, ITEM, feature_key, modalities
from mmgraph.train.sharding.column_tables import shared_dim

_A_SPLIT = "give one of the three splits of load_dataset"

#: Features that a model was trained on, by modality, for as long as they are there.
_trained_on: WeakKeyDictionary[Recommender, dict[str, ref[Tensor]]] = (
    WeakKeyDictionary()
)


def check_kinds(model: Any, **splits: Any) -> None:
    """Refuse what is no model, or no split.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> check_kinds(MFBPR(3, 2), train=None)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: train is NoneType, not HeteroData - give one of the \
three splits of load_dataset
    """
    _check_kind("the model", model, Recommender, "build it with build_model")
    for name, data in splits.items():
        _check_kind(name, data, HeteroData, _A_SPLIT)


def check_users(users: Any, num_users: int) -> None:
    """Refuse users that are no tensor of indices.

    Args:
        users: Indices ``[n]``.
        num_users: Users of the data.

    Raises:
        UserError: If they are something else, or one is out of range.

    Example:
        >>> check_users(None, 3)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: users is NoneType, not Tensor - give their indices
    """
    fix = "give their indices"
    _check_kind("users", users, Tensor, fix)
    is_integer = not (users.is_floating_point() or users.is_complex())
    if users.dim() != 1 or users.dtype == torch.bool or not is_integer:
        shape = list(users.shape)
        raise UserError(f"users are {users.dtype} of shape {shape}, not [n]", fix)
    wrong = users[(users < 0) | (users >= num_users)]
    if wrong.numel():
        what = f"user {int(wrong[0])} is not one of the {num_users} of the data"
        raise UserError(what, f"give indices from 0 to {num_users - 1}")


def check_has_edges(data: HeteroData) -> None:
    """Refuse a split without training edges or positives.

    Example:
        >>> check_has_edges(HeteroData())
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: the split has no edge_index - give one of the three \
splits of load_dataset
    """
    for name in ("edge_index", "edge_label_index"):
        if INTERACTS not in data.edge_types or name not in data[INTERACTS]:
            raise UserError(f"the split has no {name}", _A_SPLIT)


def _check_kind(name: str, value: Any, kind: type, fix: str) -> None:
    if not isinstance(value, kind):
        raise UserError(f"{name} is {type(value).__name__}, not {kind.__name__}", fix)


def remember_features(model: Recommender, train: HeteroData) -> None:
    """Keep in mind which features a model is trained on, without keeping them."""
    _trained_on[model] = {m: ref(given_features(train, m)) for m in modalities(train)}


def check_features(model: Recommender, data: HeteroData) -> None:
    """Refuse data of other features than those that a model was trained on."""
    for modality, reference in _trained_on.get(model, {}).items():
        key = feature_key(modality)
        given = given_features(data, modality) if key in data[ITEM] else None
        trained = reference()
        if trained is None or given is trained:
            continue
        if given is None or not torch.equal(given.cpu(), trained.cpu()):
            raise UserError(
                f"{key} of the split is not that the model was trained on",
                "give all splits one catalogue",
            )


def check_same_evaluation(
    model: Recommender, data: HeteroData, ks: Sequence[int]
) -> None:
    """Refuse processes that were to evaluate other models, data or cut-offs together.

    Raises:
        UserError: If they differ, in all processes.
    """
    if world().size == 1:
        return
    facts = {
        "mmgraph": mmgraph.__version__,
        "torch": torch.__version__,
        "model": repr(model),
        "data": fingerprint(data),
        "ks": list(ks),
    }
    if shared_dim(model) is None:  # otherwise each has columns of its own
        facts["weights"] = _weights_sha256(model)
    check_agreement(facts)


def _weights_sha256(model: Recommender) -> str:
    total = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        total.update(content.numpy())
    return total.hexdigest()
