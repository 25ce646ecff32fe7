"""Propagation that goes from items to users and back, in turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.options import CheckedOptions, LayerCount


class AlternatingEncoder(CheckedOptions, nn.Module):
    r"""Users hear from the items, then the items from the users as they are now.

    .. math::
        \mathbf{U}^{l} = \bar{\mathbf{R}} \mathbf{V}^{l-1}, \qquad
        \mathbf{V}^{l} = \bar{\mathbf{R}^\top} \mathbf{U}^{l}, \qquad l = 1..L

    read as the mean over :math:`l = 0..L`. The rows of layer :math:`L` pass through a
    softmax, the users' before the items hear from them (Wei et al., "Multi-Modal
    Self-Supervised Learning for Recommendation", WWW 2023).

    Args:
        num_layers: :math:`L`.

    Shapes:
        - **input:** users :math:`(U, d)`, items :math:`(I, d)`, the graph to the users,
          the graph to the items
        - **output:** :math:`(U, d)`, :math:`(I, d)`

    Raises:
        ValueError: If ``num_layers`` is below 0.

    Example:
        >>> from mmgraph.functional import root_norm_graphs
        >>> graphs = root_norm_graphs(torch.tensor([[0, 1], [0, 0]]), 2, 1)
        >>> encoder = AlternatingEncoder(num_layers=2)
        >>> user, item = encoder(torch.ones(2, 4), torch.ones(1, 4), *graphs)
        >>> user.shape, item.shape
        (torch.Size([2, 4]), torch.Size([1, 4]))
    """

    def __init__(self, num_layers: LayerCount) -> None:
        super().__init__()
        self.num_layers = num_layers

    def forward(
        self, user: Tensor, item: Tensor, to_user: Adjacency, to_item: Adjacency
    ) -> tuple[Tensor, Tensor]:
        users, items = [user], [item]
        for layer in range(1, self.num_layers + 1):
            user = to_user.matmul(item)
            if layer == self.num_layers:
                user = user.softmax(dim=1)
            item = to_item.matmul(user)
            if layer == self.num_layers:
                item = item.softmax(dim=1)
            users.append(user)
            items.append(item)
        return torch.stack(users).mean(dim=0), torch.stack(items).mean(dim=0)

    def __repr__(self) -> str:
        return f"AlternatingEncoder(num_layers={self.num_layers})"
