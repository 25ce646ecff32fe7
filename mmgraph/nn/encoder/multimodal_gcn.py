"""The backbone of FREEDOM's family: a propagation per modality, then the item graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgraph.functional.losses.regularizers import mean_square_penalty
from mmgraph.functional.rows import take_rows
from mmgraph.nn.conv import ItemGraphConv
from mmgraph.nn.conv.weighted_sum_conv import Graph
from mmgraph.nn.encoder.modality_graph_encoder import ModalityGraphEncoder
from mmgraph.nn.fusion.user_modality_weights import UserModalityWeights, UserWeights
from mmgraph.options import CheckedOptions, Dimension, LayerCount, NodeCount


class MultimodalGCN(CheckedOptions, nn.Module):
    r"""Final embeddings from item embeddings per modality, as in CLEAR, SEA and MENTOR.

    .. math::
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathrm{norm}([\mathbf{P}_m; \mathbf{Z}_m]), \qquad
        \mathbf{e}_u = \Vert_m\, w_{u,m} \mathbf{H}_m[u], \qquad
        \mathbf{e}_i = (\mathbf{I} + \mathbf{S}^{K}) (\Vert_m\, \mathbf{H}_m)[i]

    with :math:`\hat{\mathbf{A}}` the stacked user-item graph and :math:`\mathbf{S}` an
    item graph. What makes :math:`\mathbf{Z}_m` of an item's features stays outside, as
    that is where the systems differ. The steps are modules and methods of their own
    (:attr:`propagate`, :meth:`fuse`, :meth:`smooth`) for losses that need what lies
    between them.

    Args:
        num_users: Number of users.
        modalities: Names of the modalities.
        channels: Dimension of each modality's embeddings, :math:`d`.
        num_layers: :math:`L`.
        num_item_layers: :math:`K`, steps over the item graph.
        user_weights: ``"free"`` or ``"softmax"``, see
            :class:`~mmgraph.nn.fusion.UserModalityWeights`.

    Shapes:
        - **input:** :math:`(I, d)` per modality, the stacked graph of users and items,
          the graph of items
        - **output:** users :math:`(U, M d)`, items :math:`(I, M d)`

    Example:
        >>> gcn = MultimodalGCN(2, ["visual", "textual"], channels=4)
        >>> z = {"visual": torch.ones(3, 4), "textual": torch.ones(3, 4)}
        >>> graph, item_graph = torch.tensor([[0, 2], [2, 0]]), torch.tensor([[1], [0]])
        >>> user, item = gcn(z, graph, item_graph)
        >>> user.shape, item.shape
        (torch.Size([2, 8]), torch.Size([3, 8]))
    """

    def __init__(
        self,
        num_users: NodeCount,
        modalities: list[str],
        channels: Dimension,
        num_layers: LayerCount = 2,
        num_item_layers: LayerCount = 1,
        user_weights: UserWeights = "free",
    ) -> None:
        super().__init__()
        self.propagate = ModalityGraphEncoder(
            num_users, modalities, channels, num_layers
        )
        self.fuse_users = UserModalityWeights(num_users, len(modalities), user_weights)
        self.item_conv = ItemGraphConv(num_item_layers)

    def reset_parameters(self) -> None:
        """Draw preferences and weights anew."""
        self.propagate.reset_parameters()
        self.fuse_users.reset_parameters()

    def forward(
        self, z_item: dict[str, Tensor], graph: Graph, item_graph: Graph
    ) -> tuple[Tensor, Tensor]:
        return self.fuse(self.propagate(z_item, graph), item_graph)

    def fuse(
        self, h: dict[str, tuple[Tensor, Tensor]], item_graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """Users weighted, items smoothed, from the users and items per modality."""
        z_user = self.fuse_users([h_user for h_user, _ in h.values()])
        z_item = torch.cat([h_item for _, h_item in h.values()], dim=1)
        return z_user, self.smooth(z_item, item_graph)

    def smooth(self, z_item: Tensor, item_graph: Graph) -> Tensor:
        r"""Items and their neighbours, :math:`(I + S^K) z`."""
        smoothed: Tensor = z_item + self.item_conv(z_item, item_graph)
        return smoothed

    def penalty(self, user: Tensor) -> Tensor:
        r"""Mean squares of what users have of their own.

        .. math::
            \sum_m \mathrm{mean}(\mathbf{P}_m[u]^2) + \mathrm{mean}(\mathbf{w}^2)

        Args:
            user: The users of a batch; the weights count whole.
        """
        preferences = [take_rows(p, user) for p in self.propagate.preference.values()]
        return mean_square_penalty(*preferences, self.fuse_users.weight)

    def __repr__(self) -> str:
        names = list(self.propagate.preference.keys())
        layers = self.propagate.propagate.num_layers
        return (
            f"MultimodalGCN({names}, num_layers={layers}, "
            f"num_item_layers={self.item_conv.num_layers})"
        )
