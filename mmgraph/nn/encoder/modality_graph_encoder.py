"""One user-item propagation per modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgraph.functional.unit_rows import unit_rows
from mmgraph.nn.conv.weighted_sum_conv import Graph
from mmgraph.nn.encoder.light_gcn_encoder import LightGCNEncoder
from mmgraph.nn.modality_dict import ModalityParameterDict
from mmgraph.options import CheckedOptions, Dimension, LayerCount, NodeCount


class ModalityGraphEncoder(CheckedOptions, nn.Module):
    r"""Users learn a preference embedding per modality and meet the items on the graph.

    .. math::
        \mathbf{X}_m^{(0)} = \mathrm{norm}([\mathbf{P}_m ; \mathbf{Z}_m]), \qquad
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l \mathbf{X}_m^{(0)}

    with row-wise :math:`L_2` normalisation.

    Args:
        num_users: Number of users.
        modalities: Names of the modalities.
        channels: Dimension of the embeddings.
        num_layers: :math:`L`.

    Shapes:
        - **input:** item embeddings per modality :math:`(I, F)`, the stacked graph
        - **output:** per modality the pair :math:`(U, F)`, :math:`(I, F)`

    Example:
        >>> encoder = ModalityGraphEncoder(2, ["visual"], channels=4, num_layers=2)
        >>> graph = torch.tensor([[0, 2], [2, 0]])
        >>> user, item = encoder({"visual": torch.ones(3, 4)}, graph)["visual"]
        >>> user.shape, item.shape
        (torch.Size([2, 4]), torch.Size([3, 4]))
    """

    def __init__(
        self,
        num_users: NodeCount,
        modalities: list[str],
        channels: Dimension,
        num_layers: LayerCount,
    ) -> None:
        super().__init__()
        self.preference = ModalityParameterDict(
            {m: nn.Parameter(torch.empty(num_users, channels)) for m in modalities}
        )
        self.propagate = LightGCNEncoder(num_layers, readout="sum")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-normal embeddings."""
        for embedding in self.preference.values():
            nn.init.xavier_normal_(embedding)

    def forward(
        self,
        z_item: dict[str, Tensor],
        graph: Graph,
        propagate: nn.Module | None = None,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Propagate each modality, by another encoder where one is given."""
        propagate = self.propagate if propagate is None else propagate
        out = {}
        for m, z in z_item.items():
            preference = self.preference[m]
            x_0 = unit_rows(torch.cat([preference, z]))
            h_user, h_item = propagate(x_0, graph).split(
                [preference.size(0), z.size(0)]
            )
            out[m] = (h_user, h_item)
        return out

    def __repr__(self) -> str:
        names = list(self.preference.keys())
        return f"ModalityGraphEncoder({names}, num_layers={self.propagate.num_layers})"
