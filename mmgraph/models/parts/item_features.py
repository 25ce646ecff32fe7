"""Raw item features as the encoders read them: frozen in the data, or trained."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.rows import take_rows
from mmgraph.nn.modality_dict import ModalityParameterDict
from mmgraph.options import CheckedOptions
from mmgraph.schema import ITEM, feature_key

Scale = Literal["raw", "standardized", "unit"]


class FeatureOptions(CheckedOptions):
    """Options about the item features, which every multimodal system has.

    They are given to :meth:`~mmgraph.models.base.Recommender.from_data`, where the
    features are. Item graphs are built of the raw features all the same.

    Args:
        train_features: Train a copy of the raw features with the model, as the public
            code of five systems does. A parameter per entry: on Baby's 4,096 and 384
            columns 31.6 million, with Adam's two moments 380 MB.
        feature_scale: ``"raw"``; ``"standardized"``: columns of mean 0 and variance 1;
            ``"unit"``: rows of length 1.

    Example:
        >>> FeatureOptions(feature_scale="unit").train_features
        False
    """

    def __init__(
        self, *, train_features: bool = False, feature_scale: Scale = "raw"
    ) -> None:
        self.train_features, self.feature_scale = train_features, feature_scale


def scale_features(x: Tensor, scale: Scale, mask: Tensor | None = None) -> Tensor:
    r"""Features of one modality on another scale.

    Args:
        x: Features ``[I, D]``.
        scale: ``"raw"`` returns ``x`` itself; ``"standardized"``: :math:`(x_{ij} -
            \mu_j) / \sigma_j`, constant columns only centred; ``"unit"``: :math:`x_i /
            |x_i|`, rows of zeros stay.
        mask: Boolean ``[I]``, False leaves a row out of mean and variance, as one of
            zeros is; both become the mean, which is zero.

    Example:
        >>> scale_features(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), "standardized")
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """
    if scale == "raw":
        return x
    if scale == "unit":
        return F.normalize(x, dim=1, eps=1e-12)
    present = x.any(dim=1) if mask is None else x.any(dim=1) & mask
    known = x[present]
    mean = known.mean(dim=0, dtype=torch.float64)
    centred = x.double() - mean
    sd = (known.double() - mean).square().mean(dim=0).sqrt()
    scaled = centred / torch.where(sd > 1e-12 * (1 + mean.abs()), sd, 1.0)
    scaled[~present] = 0
    return scaled.to(x.dtype)


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
