"""Items that may be recommended, and what is left of histories among them."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.errors import UserError

#: Items by their training interactions: any number, some, none.
CANDIDATES = ("all", "warm", "cold")


def candidate_items(
    degree: Tensor,
    kind: str = "all",
    *,
    allow: Tensor | None = None,
    deny: Tensor | None = None,
) -> Tensor | None:
    """The items that may be recommended.

    Args:
        degree: Training interactions of each item ``[I]``.
        kind: ``"all"``, ``"warm"`` (with training interactions) or ``"cold"``
            (without).
        allow: Numbers of the only items that may come; None: any.
        deny: Numbers of items that may not.

    Returns:
        Their numbers, ascending, int64; None if they are all items.

    Raises:
        UserError: If the kind is unknown, or no item is left.

    Example:
        >>> candidate_items(torch.tensor([2, 0, 1, 0]), "cold", deny=torch.tensor([1]))
        tensor([3])
    """
    if kind not in CANDIDATES:
        raise UserError(f"candidates is {kind!r}", f"write {', '.join(CANDIDATES)}")
    chosen = torch.ones_like(degree, dtype=torch.bool)
    if kind != "all":
        chosen = (degree > 0) if kind == "warm" else (degree == 0)
        if not chosen.any():
            only = "lacks" if kind == "warm" else "has"
            raise UserError(
                f"there is no {kind} item: every item {only} training interactions",
                "choose other candidates",
            )
    if allow is not None:
        chosen &= torch.zeros_like(chosen).index_fill_(0, allow.to(degree.device), True)
    if deny is not None:
        chosen[deny.to(degree.device)] = False
    if not chosen.any():
        raise UserError("no item may be recommended", "allow more, or deny fewer")
    return None if chosen.all() else chosen.nonzero().flatten()


def edges_of_candidates(edges: Tensor, candidates: Tensor, num_items: int) -> Tensor:
    """Interactions with candidates, which are numbered in their order.

    Args:
        edges: User and item of each interaction ``[2, E]``.
        candidates: Numbers of items, ascending.
        num_items: Number of all items.

    Example:
        >>> edges = torch.tensor([[0, 0, 1], [3, 1, 3]])
        >>> edges_of_candidates(edges, torch.tensor([2, 3]), 4)
        tensor([[0, 1],
                [1, 1]])
    """
    place = edges.new_full((num_items,), -1)
    place[candidates] = torch.arange(len(candidates), device=edges.device)
    item = place[edges[1]]
    kept = item >= 0
    return torch.stack([edges[0, kept], item[kept]])
