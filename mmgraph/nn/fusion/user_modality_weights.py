"""Weights of the modalities, one per user."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mmgraph.options import CheckedOptions, NodeCount, PositiveInt

UserWeights = Literal["free", "softmax"]


class UserModalityWeights(CheckedOptions, nn.Module):
    r"""Concatenation of the modalities, weighted per user.

    .. math::
        \mathbf{e}_u = [\, w_{u,1} \mathbf{h}_{u,1} \,\Vert \dots \Vert\,
        w_{u,M} \mathbf{h}_{u,M} ]

    Args:
        num_users: Number of users.
        num_modalities: Number of modalities :math:`M`.
        mode: ``"free"``: the weights start as a softmax of Xavier-normal values, so
            close to :math:`1/M`, and are free afterwards. ``"softmax"``: they pass
            through a softmax at every call.

    Shapes:
        - **input:** one tensor :math:`(U, d)` per modality
        - **output:** :math:`(U, M d)`

    Raises:
        ValueError: If ``mode`` is unknown.

    Example:
        >>> fusion = UserModalityWeights(num_users=3, num_modalities=2)
        >>> fusion([torch.ones(3, 4), torch.ones(3, 4)]).shape
        torch.Size([3, 8])
    """

    def __init__(
        self,
        num_users: NodeCount,
        num_modalities: PositiveInt,
        mode: UserWeights = "free",
    ) -> None:
        super().__init__()
        self.mode = mode
        self.weight = nn.Parameter(torch.empty(num_users, num_modalities, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.xavier_normal_(self.weight)
        if self.mode == "free":
            with torch.no_grad():
                self.weight.copy_(self.weight.softmax(dim=1))

    def forward(self, users: list[Tensor]) -> Tensor:
        return torch.cat(self.weighted(users), dim=1)

    def weighted(self, users: list[Tensor]) -> list[Tensor]:
        """The weighted modalities, one by one."""
        weight = self.weight if self.mode == "free" else self.weight.softmax(dim=1)
        return [weight[:, m] * h for m, h in enumerate(users)]

    def __repr__(self) -> str:
        users, modalities, _ = self.weight.shape
        return f"UserModalityWeights({users}, {modalities}, mode={self.mode!r})"
