"""Raw item features as the encoders read them: frozen in the data, or trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.rows import take_rows
from mmgraph.nn.modality_dict import ModalityParameterDict
from mmgraph.schema import ITEM, feature_key


class TrainedFeatures(ModalityParameterDict):
    r"""A copy of the raw features :math:`\mathbf{X}_m` that is trained with the model.

    The public codes of several systems put the features into embeddings, so that what
    their papers call frozen moves. The copy starts as zeros;
    :meth:`~mmgraph.models.base.Recommender.from_data` fills them.

    Args:
        num_items: Number of items.
        dims: Dimension of each modality's features; without any, nothing is trained.

    Shapes:
        - **features[m]:** :math:`(I, D_m)`

    Example:
        >>> TrainedFeatures(5, {"visual": 16})["visual"].shape
        torch.Size([5, 16])
    """

    def __init__(self, num_items: int, dims: dict[str, int]) -> None:
        super().__init__(
            {m: nn.Parameter(torch.zeros(num_items, dim)) for m, dim in dims.items()}
        )

    @torch.no_grad()
    def copy_from(self, data: HeteroData) -> None:
        """Start from the features of ``data``, which stay as they are."""
        for m, x in self.items():
            x.copy_(data[ITEM][feature_key(m)])


def encode_features(
    encoders: nn.ModuleDict,
    data: HeteroData,
    items: Tensor | None = None,
    trained: TrainedFeatures | None = None,
) -> dict[str, Tensor]:
    r"""Each modality's encoder of its raw features, :math:`f_m(\mathbf{X}_m)`.

    Args:
        encoders: One module per modality.
        data: Where the features are.
        items: Rows to encode; all without it.
        trained: Features that take the place of those in ``data``.

    Shapes:
        - **output:** per modality :math:`(I, d)`, or one row per entry of ``items``

    Example:
        >>> data = HeteroData({"item": {"x_visual": torch.eye(3)}})
        >>> encoders = nn.ModuleDict({"visual": nn.Identity()})
        >>> encode_features(encoders, data, torch.tensor([2]))
        {'visual': tensor([[0., 0., 1.]])}
    """
    own: TrainedFeatures | dict[str, Tensor] = {} if trained is None else trained
    out = {}
    for m, encoder in encoders.items():
        x = own[m] if m in own else data[ITEM][feature_key(m)]
        out[m] = encoder(take_rows(x, items))
    return out
