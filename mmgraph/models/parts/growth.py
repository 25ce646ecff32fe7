"""Users and items that come after training, and what of a trained state is whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from mmgraph.errors import UserError

#: Who can come later: users and items with interactions, items with features alone.
USERS, ITEMS, COLD_ITEMS = "users", "items", "cold items"
#: Enough to hold back directions in which next to nothing is brought.
_RIDGE = 0.1


@dataclass(frozen=True)
class Growth:
    """Which tensors of a system have a row per user or item, and who can come later.

    Names are patterns, as of a shell. What none of them names belongs to nobody and
    has the same shape in every catalogue.

    Args:
        users: Tensors with a row per user.
        items: Tensors with a row per item.
        nodes: Tensors with a row per user, then a row per item.
        averaged: Of those with a row per user: whoever comes later gets the mean row.
        content: Tensors with a row per item that starts as the item's features.
        anew: Tensors that are not carried over, as of the last step of a training.
        takes: Who can come later without training: of ``"users"``, ``"items"`` and
            ``"cold items"``, which have features and no interactions.
    """

    users: tuple[str, ...] = ("user.weight",)
    items: tuple[str, ...] = ("item.weight",)
    nodes: tuple[str, ...] = ()
    averaged: tuple[str, ...] = ()
    content: tuple[str, ...] = ("features.*", "own_features.*")
    anew: tuple[str, ...] = ("last_step.*",)
    takes: tuple[str, ...] = ()

    def kind(self, name: str) -> str | None:
        """The group that a tensor is in, None for what belongs to nobody."""
        for group in ("averaged", "users", "items", "nodes", "content", "anew"):
            patterns: Iterable[str] = getattr(self, group)
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return group
        return None


#: Of systems with ID embeddings that rank by interactions alone.
BY_INTERACTIONS = Growth(takes=(USERS, ITEMS))
#: Of systems with ID embeddings whose scores read the features of an item.
BY_CONTENT = Growth(takes=(USERS, ITEMS, COLD_ITEMS))
#: Of systems whose users have a preference per modality, and items their features.
BY_PREFERENCES = Growth(
    users=("*.preference.*",),
    items=("item.weight", "unused_item_weights.weight"),
    averaged=("*fuse_users.weight",),
    takes=(USERS, ITEMS, COLD_ITEMS),
)


@dataclass(frozen=True)
class Places:
    """Where the users and items of a catalogue stood in an earlier one.

    Attributes:
        users: int64 ``[U]``, the earlier row of each user, -1 for whoever is new.
        items: int64 ``[I]``, the same of the items.
        num_users: Users of the earlier catalogue.
    """

    users: Tensor
    items: Tensor
    num_users: int

    @property
    def nodes(self) -> Tensor:
        """Users and then items, as rows of stacked matrices."""
        items = self.items.where(self.items < 0, self.items + self.num_users)
        return torch.cat([self.users, items])


def carried_state(
    growth: Growth,
    trained: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    places: Places,
    *,
    blank: bool,
) -> dict[str, Tensor]:
    """The state of a trained system in another catalogue.

    Rows of known users and items move to their new places, and what belongs to nobody
    is copied.

    Args:
        growth: As the system declares it.
        trained: ``state_dict`` in the earlier catalogue.
        fresh: ``state_dict`` of the same system, initialised for the other catalogue.
        places: Who stood where.
        blank: Rows of new users and items are zeros, or the mean, or features, as
            declared; otherwise they stay as they were initialised.

    Raises:
        UserError: If a tensor has another shape that nothing declares.

    Example:
        >>> trained = {"user.weight": torch.tensor([[1.0], [2.0]])}
        >>> fresh = {"user.weight": torch.full((3, 1), 9.0)}
        >>> places = Places(torch.tensor([1, -1, 0]), torch.tensor([]), num_users=2)
        >>> carried_state(Growth(), trained, fresh, places, blank=True)
        {'user.weight': tensor([[2.],
                [0.],
                [1.]])}
    """
    state = dict(fresh)
    for name, tensor in trained.items():
        kind = growth.kind(name)
        if kind == "anew":
            continue
        if kind is None:
            _check_shape(name, tensor, fresh.get(name, tensor))
            state[name] = tensor
            continue
        rows = {"nodes": places.nodes, "users": places.users, "averaged": places.users}
        start = fresh[name]
        if blank and kind == "averaged":
            start = tensor.mean(dim=0, keepdim=True).expand_as(start)
        elif blank and kind != "content":
            start = torch.zeros_like(start)
        state[name] = _moved(name, tensor, start, rows.get(kind, places.items))
    return state


def _moved(name: str, trained: Tensor, start: Tensor, place: Tensor) -> Tensor:
    """Trained rows at their new places, ``start`` elsewhere."""
    _check_shape(name, trained[:0], start[:0])
    moved, known = start.clone(), place >= 0
    moved[known] = trained[place[known]]
    return moved


def _check_shape(name: str, trained: Tensor, fresh: Tensor) -> None:
    if trained.shape != fresh.shape:
        raise UserError(
            f"{name!r} has the shape {tuple(trained.shape)} in the run and "
            f"{tuple(fresh.shape)} on the new data",
            "train on the new data, or name its rows in the system's growth",
        )


@torch.no_grad()
def fold_in_rows(own: Tensor, brought: Tensor, new: Tensor) -> None:
    r"""Fill new rows by what their neighbours bring, as known rows are related to it.

    .. math::
        \mathbf{e}_v = \mathbf{b}_v \mathbf{W}, \qquad
        \mathbf{b}_v = \sum_{w \in N(v)} \frac{\mathbf{e}_w}{\sqrt{d_v d_w}}, \qquad
        \mathbf{W} = \Big( \mathbf{B}^\top \mathbf{B}
        + \epsilon \frac{\|\mathbf{B}\|^2}{d} \mathbf{I} \Big)^{-1}
        \mathbf{B}^\top \mathbf{E}

    :math:`\mathbf{W}` is the ridge regression of all known rows on what is brought to
    them, with :math:`\epsilon = 0.1`.

    Args:
        own: Rows of all, changed in place ``[N, d]``.
        brought: What the neighbours of each bring ``[N, d]``.
        new: Mask of the rows to fill ``[N]``.

    Example:
        >>> own = torch.tensor([[3.0], [0.0]])
        >>> fold_in_rows(own, torch.tensor([[1.0], [2.0]]), torch.tensor([False, True]))
        >>> (own * 1.1).round(decimals=4)
        tensor([[3.3000],
                [6.0000]])
    """
    known = brought[~new]
    gram, target = (known.t() @ x for x in (known, own[~new]))
    ridge = _RIDGE * gram.trace() / len(gram)
    if ridge > 0:
        gram.diagonal().add_(ridge)
        own[new] = brought[new] @ torch.linalg.solve(gram, target)
