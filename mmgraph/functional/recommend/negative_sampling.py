"""Uniform negatives that a user has not interacted with, for a whole epoch at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.errors import UserError


class NegativeSampler:
    r"""Draws one negative per positive, uniform over the items seen in training.

    :math:`j \sim \mathrm{U}(\mathcal{I}_{train} \setminus \mathcal{N}_u)`. A draw that
    hits one of the user's own items is drawn again, which leaves exactly this
    distribution; membership is one binary search in the sorted pairs.

    Args:
        edge_index: User (row 0) and item (row 1) of each training interaction.
        num_items: Number of items in the catalogue.
        user_ids: Names of the users in an error; their row numbers by default.

    Raises:
        UserError: If there are no edges, or a user has interacted with every item
            that training knows, so that no negative exists.

    Example:
        >>> edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
        >>> sampler = NegativeSampler(edge_index, num_items=3)
        >>> generator = torch.Generator().manual_seed(0)
        >>> sampler.sample(torch.tensor([0, 0, 0]), generator)
        tensor([2, 2, 2])
    """

    def __init__(
        self,
        edge_index: Tensor,
        num_items: int,
        user_ids: np.ndarray[Any, Any] | None = None,
    ) -> None:
        user, item = edge_index
        if not user.numel():
            raise UserError("no training interaction", "give at least one")
        self.num_items = num_items
        self.pairs = torch.unique(user * num_items + item)  # sorted
        self.items = torch.unique(item)
        degree = torch.bincount(self.pairs // num_items)
        full = (degree >= self.items.numel()).nonzero()
        if full.numel():
            user_id = int(full[0])
            if user_ids is not None:
                user_id = np.asarray(user_ids)[user_id].item()
            raise UserError(
                f"user {user_id!r} has interacted with all "
                f"{self.items.numel()} training items, so no negative exists",
                "leave this user out or add items",
            )

    def is_positive(self, user: Tensor, item: Tensor) -> Tensor:
        """True where a (user, item) pair is a training interaction."""
        return is_in_sorted(user * self.num_items + item, self.pairs)

    def sample(self, user: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One negative for each entry of ``user``.

        Args:
            user: User indices, on the device of the edges.
            generator: Random generator of that device.

        Shapes:
            - **input:** :math:`(B)` int64
            - **output:** :math:`(B)` int64
        """
        negative = torch.empty_like(user)
        open_rows = torch.arange(user.numel(), device=user.device)
        while open_rows.numel():
            pick = torch.randint(
                self.items.numel(),
                (open_rows.numel(),),
                generator=generator,
                device=user.device,
            )
            negative[open_rows] = self.items[pick]
            hit = self.is_positive(user[open_rows], negative[open_rows])
            open_rows = open_rows[hit]
        return negative


def is_in_sorted(values: Tensor, ascending: Tensor) -> Tensor:
    """True where a value is among sorted ones, by binary search.

    Args:
        values: The values, of any shape.
        ascending: The sorted values ``[n]``, not empty.

    Example:
        >>> is_in_sorted(torch.tensor([[1, 2], [5, 9]]), torch.tensor([2, 5]))
        tensor([[False,  True],
                [ True, False]])
    """
    position = torch.searchsorted(ascending, values).clamp_(max=ascending.numel() - 1)
    return ascending[position] == values
