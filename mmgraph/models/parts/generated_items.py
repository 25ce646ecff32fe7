"""Items that a model generates for its users, kept with its parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmgraph.options import CheckedOptions, ListLength, NodeCount, PositiveInt


class GeneratedItems(CheckedOptions, nn.Module):
    """A short list of items per user and modality, the edges of learned graphs.

    The lists are buffers: they are saved, restored and moved with the model, so that a
    model scores with the graphs it was trained with. They come for all users at once
    (:meth:`replace`), or batch by batch as in the public code of MMSSL: in each epoch
    the batches whose number, from 0, is a positive multiple of ``refresh_batches`` take
    over what the batches since the last such one have collected, and forget the rest;
    of several lists of one user the last counts.

    Args:
        num_modalities: Number of modalities.
        num_users: Number of users.
        k: Length of the lists.
        refresh_batches: Batches between two refreshes.

    Raises:
        UserError: If ``k`` is negative or ``refresh_batches`` below 1.

    Example:
        >>> generated = GeneratedItems(1, num_users=2, k=2)
        >>> generated.replace(torch.tensor([[[4, 3], [0, -1]]]))
        >>> generated.edge_index(0)
        tensor([[0, 0, 1],
                [4, 3, 0]])
    """

    lists: Tensor
    known: Tensor

    def __init__(
        self,
        num_modalities: PositiveInt,
        num_users: NodeCount,
        k: ListLength,
        refresh_batches: PositiveInt = 1,
    ) -> None:
        super().__init__()
        self.k, self.refresh_batches = k, refresh_batches
        empty = torch.full((num_modalities, num_users, k), -1, dtype=torch.int32)
        self.register_buffer("lists", empty)
        # False until the first lists are there.
        self.register_buffer("known", torch.tensor(False))
        self._is_empty = False  # True where they are known to be, without a look
        self.start_epoch()

    def replace(self, found: Tensor) -> None:
        """Take lists ``[M, U, k]``, -1 where a list is short."""
        self.lists.copy_(found)
        self.known.fill_(True)
        self._is_empty = False

    def start_epoch(self) -> None:
        """Forget what an earlier epoch has collected."""
        self.batch_number = 0
        self.collected: list[tuple[Tensor, Tensor]] = []

    def next_batch(self) -> bool:
        """True if this batch refreshed the lists; otherwise it is to collect."""
        number, self.batch_number = self.batch_number, self.batch_number + 1
        if number == 0 or number % self.refresh_batches:
            return False
        if self.collected or not self._is_empty:
            lists = torch.full_like(self.lists, -1)
            for users, found in self.collected:
                lists[:, users] = found.to(lists.dtype)
            self.replace(lists)
            self._is_empty = not self.collected
            self.collected = []
        return True

    def collect(self, users: Tensor, found: Tensor) -> None:
        """Keep the lists ``[M, B, k]`` of the users for the next refresh."""
        self.collected.append((users, found))

    def edge_index(self, modality: int) -> Tensor:
        """User and item of each entry, ``[2, E]`` int64."""
        items = self.lists[modality]
        user, place = (items >= 0).nonzero(as_tuple=True)
        return torch.stack([user, items[user, place].long()])

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._is_empty = False
        super()._load_from_state_dict(*args, **kwargs)

    def __repr__(self) -> str:
        modalities, users, _ = self.lists.shape
        return (
            f"GeneratedItems({modalities}, {users}, {self.k}, "
            f"refresh_batches={self.refresh_batches})"
        )
