"""Raw item features as the encoders read them: frozen in the data, or trained."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.rows import take_rows
from mmgraph.nn.modality_dict import ModalityParameterDict, attribute_name
from mmgraph.options import CheckedOptions
from mmgraph.schema import ITEM, feature_key, mask_key, modalities

Scale = Literal["raw", "standardized", "unit"]
#: Mean and standard deviation of each column, float64 ``[D]``.
Moments = tuple[Tensor, Tensor]
_MOMENTS = ("mean", "sd")


class FeatureOptions(CheckedOptions):
    """Options about the item features, which every multimodal system has.

    They are given to :meth:`~mmgraph.models.base.Recommender.from_data`, where the
    features are. Item graphs are built of the raw features all the same.

    Args:
        train_features: Train a copy of the raw features with the model, as the public
            code of five systems does. A parameter per entry: on Baby's 4,096 and 384
            columns 31.6 million, with Adam's two moments 380 MB.
        feature_scale: ``"raw"``; ``"standardized"``: columns of mean 0 and variance 1,
            as in the catalogue of the training, also once it has grown; ``"unit"``:
            rows of length 1.

    Example:
        >>> FeatureOptions(feature_scale="unit").train_features
        False
    """

    def __init__(
        self, *, train_features: bool = False, feature_scale: Scale = "raw"
    ) -> None:
        self.train_features, self.feature_scale = train_features, feature_scale


def scale_features(
    x: Tensor,
    scale: Scale,
    mask: Tensor | None = None,
    moments: Moments | None = None,
) -> Tensor:
    r"""Features of one modality on another scale.

    Args:
        x: Features ``[I, D]``.
        scale: ``"raw"`` returns ``x`` itself; ``"standardized"``: :math:`(x_{ij} -
            \mu_j) / \sigma_j`, constant columns only centred; ``"unit"``: :math:`x_i /
            |x_i|`, rows of zeros stay.
        mask: Boolean ``[I]``, False leaves a row out of mean and variance, as one of
            zeros is; both become the mean, which is zero.
        moments: :math:`\mu` and :math:`\sigma`, where they are not those of ``x``.

    Example:
        >>> scale_features(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), "standardized")
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """
    if scale == "raw":
        return x
    if scale == "unit":
        return F.normalize(x, dim=1, eps=1e-12)
    mean, sd = moments or column_moments(x, mask)
    scaled = (x.double() - mean.to(x.device)) / sd.to(x.device)
    scaled[~_present(x, mask)] = 0
    return scaled.to(x.dtype)


def column_moments(x: Tensor, mask: Tensor | None = None) -> Moments:
    """Mean and standard deviation of each column, over the items that have a feature.

    Args:
        x: Features ``[I, D]``.
        mask: Boolean ``[I]``, False where an item lacks it, as with a row of zeros.

    Returns:
        Two tensors ``[D]``, float64. The deviation of a constant column is 1, so that
        it can divide; without any feature they are zeros and ones.

    Example:
        >>> column_moments(torch.tensor([[1.0, 2.0], [3.0, 2.0], [0.0, 0.0]]))
        (tensor([2., 2.], dtype=torch.float64), tensor([1., 1.], dtype=torch.float64))
    """
    known = x[_present(x, mask)]
    if not len(known):
        mean = x.new_zeros(x.size(1), dtype=torch.float64)
        return mean, torch.ones_like(mean)
    mean = known.mean(dim=0, dtype=torch.float64)
    sd = (known.double() - mean).square().mean(dim=0).sqrt()
    return mean, torch.where(sd > 1e-12 * (1 + mean.abs()), sd, 1.0)


def _present(x: Tensor, mask: Tensor | None) -> Tensor:
    return x.any(dim=1) if mask is None else x.any(dim=1) & mask


class FeatureMoments(nn.Module):
    """Mean and deviation of the feature columns that a model was trained on.

    They are saved and loaded with the model, so that it reads an item's features alike
    in every catalogue. A state of version 0.8 or before has none: what was taken of the
    data that the model was built for stays, as it was then.

    Example:
        >>> data = HeteroData({"item": {"x_visual": torch.tensor([[1.0], [3.0]])}})
        >>> moments = FeatureMoments()
        >>> moments.take(data, ["visual"])
        >>> moments["visual"]
        (tensor([2.], dtype=torch.float64), tensor([1.], dtype=torch.float64))
    """

    def take(self, data: HeteroData, modalities: Iterable[str]) -> None:
        """Take those of some modalities of ``data``."""
        for m in modalities:
            x, mask = given_features(data, m), data[ITEM].get(mask_key(m))
            for kind, values in zip(_MOMENTS, column_moments(x, mask), strict=True):
                self.register_buffer(f"{kind}_{attribute_name(m)}", values)

    def __getitem__(self, modality: str) -> Moments:
        name = attribute_name(modality)
        mean, sd = (getattr(self, f"{kind}_{name}") for kind in _MOMENTS)
        return mean, sd

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        own = {f"{prefix}{name}": buffer for name, buffer in self.named_buffers()}
        if state_dict.keys().isdisjoint(own):
            state_dict.update(own)
        super()._load_from_state_dict(state_dict, prefix, *args)


def given_features(data: HeteroData, modality: str) -> Tensor:
    """Features as the data have them, also in a view that has others for encoders.

    Args:
        data: Data, or what :func:`with_features` makes of them.
        modality: Name of the modality.

    Shapes:
        - **output:** :math:`(I, D_m)`
    """
    store = data[ITEM]
    key = _given_key(modality)
    given: Tensor = store[key if key in store else feature_key(modality)]
    return given


def with_features(data: HeteroData, features: Mapping[str, Tensor]) -> HeteroData:
    """A view of ``data`` in which encoders find other features.

    :func:`given_features` still has those of the data: by them items are missing, and
    graphs are built. What changes the features of the data comes before.

    Args:
        data: The data; they stay as they are.
        features: By modality; the same again change nothing.

    Example:
        >>> data = HeteroData({"item": {"x_visual": torch.ones(2, 1)}})
        >>> view = with_features(data, {"visual": torch.zeros(2, 1)})
        >>> view["item"].x_visual.sum(), given_features(view, "visual").sum()
        (tensor(0.), tensor(2.))
    """
    if all(data[ITEM][feature_key(m)] is x for m, x in features.items()):
        return data
    view = copy.copy(data)
    for m, x in features.items():
        view[ITEM][_given_key(m)] = given_features(data, m)
        view[ITEM][feature_key(m)] = x
    return view


def as_given(data: HeteroData) -> HeteroData:
    """``data`` with the features as given in the place of those of a view.

    Example:
        >>> data = HeteroData({"item": {"x_visual": torch.ones(2, 1)}})
        >>> as_given(data) is data
        True
    """
    given = {m: given_features(data, m) for m in modalities(data)}
    return with_features(data, given)


def _given_key(modality: str) -> str:
    return f"given_{modality}"


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
