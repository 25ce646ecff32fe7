"""Scores that are one training step old, as some public codes have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class LastStepEmbeddings(nn.Module):
    """Final embeddings of the last training step's forward pass.

    The public codes of several systems keep what the forward pass of a training step
    gave and rank by it, so that their scores lack the step that followed. Both matrices
    are saved with the parameters. Before the first step there is nothing to rank by.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        channels: Dimension of the final embeddings.

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`

    Example:
        >>> last_step = LastStepEmbeddings(num_users=2, num_items=1, channels=1)
        >>> last_step.keep(torch.ones(2, 1), torch.ones(1, 1))
        >>> last_step.eval().embeddings()
        (tensor([[1.],
                [1.]]), tensor([[1.]]))
    """

    user: Tensor
    item: Tensor

    def __init__(self, num_users: int, num_items: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("user", torch.zeros(num_users, channels))
        self.register_buffer("item", torch.zeros(num_items, channels))
        self._compute: Callable[[], tuple[Tensor, Tensor]] | None = None

    def keep(self, z_user: Tensor, z_item: Tensor) -> None:
        """Remember a training step's embeddings; of no effect in evaluation mode."""
        if self.training:
            self.user, self.item = z_user.detach(), z_item.detach()
            self._compute = None

    def keep_later(self, compute: Callable[[], tuple[Tensor, Tensor]]) -> None:
        """Remember how to compute them, as only those of the last step are read.

        Args:
            compute: Gives users and items. What it reads must be as it is in this step
                for good, so parameters, which change in place, must be copies.
        """
        if self.training:
            self._compute = compute

    def embeddings(self) -> tuple[Tensor, Tensor] | None:
        """Embeddings to rank by; None in training mode and before the first step."""
        if self.training:
            return None
        self._settle()
        return (self.user, self.item) if self.user.any() else None

    @torch.no_grad()
    def _settle(self) -> None:
        """Compute what :meth:`keep_later` remembers."""
        if self._compute is not None:
            z_user, z_item = self._compute()
            self.user, self.item = z_user.detach(), z_item.detach()
            self._compute = None

    def train(self, mode: bool = True) -> Self:
        if not mode:
            self._settle()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._settle()
        super()._apply(*args, **kwargs)
        return self

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return self.__dict__

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._settle()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._compute = None
        super()._load_from_state_dict(*args, **kwargs)

    def __repr__(self) -> str:
        users, channels = self.user.shape
        return f"LastStepEmbeddings({users}, {len(self.item)}, {channels})"
