"""SEA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.functional.linear_chain import chained_linear
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.bound_measures import BoundMeasures
from mmgraph.models.parts.growth import BY_PREFERENCES
from mmgraph.models.parts.item_features import encode_features
from mmgraph.models.parts.item_graph import fused_item_graph
from mmgraph.models.parts.last_step import LastStepEmbeddings
from mmgraph.nn.encoder import ModalityEncoder, MultimodalGCN
from mmgraph.nn.losses.separate_learning import (
    Alignment,
    Distance,
    Fit,
    Halves,
    Order,
    SeparateLearningLoss,
)
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.options import (
    Dimension,
    Dims,
    Fidelity,
    Fraction,
    LayerCount,
    ModalityWeights,
    NodeCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

#: Alignment and distance of the variants of Table 4.
VARIANTS: dict[str, tuple[Alignment, Distance]] = {
    "a": ("solosim", "mim"),
    "b": ("solosim", "neg_l2"),
    "c": ("info_nce", "mim"),
    "d": ("info_nce", "neg_l2"),
}
#: The estimator of the public code, in whose place ``"paper"`` fits one well.
RELEASED_ESTIMATOR: dict[str, Any] = {
    "club_inner_steps": 50,
    "club_lr": 1e-4,
    "club_rows": 0,
    "club_standardize": False,
    "club_pairs": "released",
}
# What reads an encoder's output: the first layer of the MLP, and those of the losses.
MLP, SEPARATION = ("mlp",), ("head", "generic", "unique")


class SEA(Recommender):
    r"""The system of "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation" (2024).

    .. math::
        \mathbf{Z}_m = \mathbf{X}_m \mathbf{W}_m + \mathbf{b}_m
        = [\mathbf{G}_m \Vert \mathbf{U}_m], \qquad
        \mathbf{H}_m = \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathrm{norm}([\mathbf{P}_m; \mathrm{MLP}(\mathbf{Z}_m)])

    .. math::
        \mathbf{e}_u = \Vert_m\, w_{u,m} \mathbf{H}_m[u], \qquad
        \mathbf{e}_i = (\mathbf{I} + \mathbf{S}) (\Vert_m\, \mathbf{H}_m)[i]

    .. math::
        L = L_{BPR} + \alpha L_{align}(\mathbf{G}) +
        \frac{\beta}{M} \sum_m L_{dist}(\mathbf{G}_m, \mathbf{U}_m)

    (Eqs. 6-12, 16-19): what modalities share is aligned, and in each modality the
    unique half is driven away from the generic one.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        variant: ``"a"`` SoloSim and the CLUB bound, ``"b"`` SoloSim and negative
            distance, ``"c"`` InfoNCE and the bound, ``"d"`` InfoNCE and distance.
        align_weight: Weight :math:`\alpha` of the alignment.
        distance_weight: Weight :math:`\beta` of the distance.
        temperature: Temperature of the alignment.
        club_fit: How the bound's estimator is fitted, ``"adam"`` or ``"closed-form"``,
            see :class:`~mmgraph.nn.SeparateLearningLoss`, here and for the options
            that follow. Those without a value are as the fidelity has them.
        club_inner_steps: Steps of the estimator per batch (null: 10, released 50).
        club_lr: Learning rate of the estimator (null: 3e-2, released 1e-4).
        club_rows: Rows of a modality that such a step sees, 0 for all (null: 1024,
            released 0).
        club_order: ``"loss-first"``, as in the public code, or ``"fit-first"``.
        club_standardize: Bring the columns of both halves to variance 1 first (null:
            true, released false).
        club_pairs: Pairs that it is fitted to, ``"paper"`` or ``"released"`` (null: as
            the fidelity).
        normalize_distance: Normalise both halves before the negative distance, which
            is unbounded otherwise.
        split_at: Vectors that are split: ``"encoder"`` its output, as in the public
            code, or ``"graph"`` the items' rows of :math:`\mathbf{H}_m`, as the text
            says.
        candidates: Items the losses of separation are over: ``"all"``, as in the
            paper, or those of the ``"batch"``. The cost of the former grows with the
            square of the catalogue.
        encoder_dim: Dimension of :math:`\mathbf{Z}_m` (default: that of the features).
        embedding_dim: Dimension of each modality's embeddings.
        hidden_dim: Dimension between the two layers of the MLP.
        num_layers: Layers :math:`L` of the propagation.
        num_item_layers: Steps over the item graph.
        k: Neighbours per item in that graph, itself included.
        visual_weight: Weight of the visual graph, see
            :func:`~mmgraph.models.parts.item_graph.modality_weights`.
        modality_weights: Weight of each modality instead.
        user_weights: Weights of a user's modalities, ``"free"`` or ``"softmax"``.
        fidelity: ``"paper"``: the estimator is fitted to the pair whose information it
            bounds, well enough to bound it, over all pairs of items in closed form, and
            BPR has the natural logarithm. ``"released"`` is the public code with its
            accidents: the estimator is fitted to the same half of two modalities (so
            the bound is nearly inert), by 50 steps with a learning rate of 1e-4 and to
            vectors as they are, the bound is sampled, BPR has base 2, and scores are
            those of the last training step's forward pass, one step old. (The public
            code halves its bound: its weights are twice ``distance_weight``.)

    Example:
        >>> SEA(3, 5, {"visual": 16, "textual": 8}, variant="b")
        SEA(3, 5, {'visual': 16, 'textual': 8}, variant='b')
    """

    lr = 1e-4
    multimodal = True
    built_in = "SEA"
    growth = BY_PREFERENCES
    former_names = (
        ("propagate.", "gcn.propagate."),
        ("fuse_users.", "gcn.fuse_users."),
    )
    fidelities = ("paper", "released")

    shown = ("variant",)

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        variant: Literal["a", "b", "c", "d"] = "a",
        align_weight: NonNegativeFloat = 0.012,
        distance_weight: NonNegativeFloat = 0.003,
        temperature: PositiveFloat = 0.2,
        club_fit: Fit = "adam",
        club_inner_steps: NonNegativeInt | None = None,
        club_lr: PositiveFloat | None = None,
        club_rows: NonNegativeInt | None = None,
        club_order: Order = "loss-first",
        club_standardize: bool | None = None,
        club_pairs: Literal["paper", "released"] | None = None,
        normalize_distance: bool = False,
        split_at: Literal["encoder", "graph"] = "encoder",
        candidates: Literal["all", "batch"] = "all",
        encoder_dim: Dimension | None = None,
        embedding_dim: Dimension = 64,
        hidden_dim: Dimension = 256,
        num_layers: LayerCount = 2,
        num_item_layers: LayerCount = 1,
        k: PositiveInt = 10,
        visual_weight: Fraction = 0.1,
        modality_weights: ModalityWeights | None = None,
        user_weights: Literal["free", "softmax"] = "free",
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        self.variant, self.split_at = variant, split_at
        self.candidates = candidates
        released = fidelity == "released"
        self.graph_transform = fused_item_graph(
            list(self.dims), k, modality_weights, visual_weight
        )
        encoder_dims = {m: encoder_dim or dim for m, dim in self.dims.items()}
        self.encoders = ModalityDict(
            {m: nn.Linear(dim, encoder_dims[m]) for m, dim in self.dims.items()}
        )
        self.mlps = ModalityDict(
            {
                m: ModalityEncoder(
                    encoder_dims[m], embedding_dim, hidden_dim, init="default"
                )
                for m in self.dims
            }
        )
        self.gcn = MultimodalGCN(
            num_users,
            list(self.dims),
            embedding_dim,
            num_layers,
            num_item_layers,
            user_weights,
        )
        align, distance = VARIANTS[variant]
        at_encoder = split_at == "encoder"
        self.separate = SeparateLearningLoss(
            encoder_dims if at_encoder else dict.fromkeys(self.dims, embedding_dim),
            align=align,
            distance=distance,
            align_weight=align_weight,
            distance_weight=distance_weight,
            temperature=temperature,
            club_fit=club_fit,
            club_order=club_order,
            **self._estimator_options(
                club_inner_steps=club_inner_steps,
                club_lr=club_lr,
                club_rows=club_rows,
                club_standardize=club_standardize,
                club_pairs=club_pairs,
            ),
            normalize_distance=normalize_distance,
            club_estimator="sample" if released else "closed",
            mim_proj="linear" if at_encoder else "none",
        )
        self.measures = BoundMeasures(self.separate)
        self.last_step: LastStepEmbeddings | None = None
        if released:
            self.last_step = LastStepEmbeddings(
                num_users, num_items, embedding_dim * len(self.dims)
            )

    def _estimator_options(self, **given: Any) -> dict[str, Any]:
        """The options of the estimator that are given, or that the fidelity has."""
        own = dict(RELEASED_ESTIMATOR) if self.released else {}
        if len(self.dims) < 2:
            own.pop("club_pairs", None)  # there is no other modality to pair with
        return own | {name: v for name, v in given.items() if v is not None}

    def item_graph_transform(self) -> BaseTransform:
        return self.graph_transform

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.encoders, data, items)

    def modality_dims(self) -> dict[str, int]:
        return {m: encoder.out_features for m, encoder in self.encoders.items()}

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        if self.last_step is not None and (stale := self.last_step.embeddings()):
            return stale
        if self.plugin is None:
            hidden = {m: maps["mlp"] for m, maps in self.maps(data).items()}
        else:
            hidden = self.hidden(self.encode_modalities(data))
        z_user, z_item, _ = self.fuse(data, hidden)
        return z_user, z_item

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        separate = self.separate
        items = batch.whole.items() if self.candidates == "batch" else None
        if self.maps_are_read():
            maps = self.maps(data, MLP if items is not None else MLP + SEPARATION)
            z_user, z_item, _ = self.fuse(data, {m: maps[m]["mlp"] for m in maps})
            if items is not None:
                maps = self.maps(data, SEPARATION, items)
            parts = self.separate_from_maps(maps)
        else:
            z = self.encode_modalities(data)
            z_user, z_item, h_item = self.fuse(data, self.hidden(z))
            z = z if self.split_at == "encoder" else h_item
            z = {m: take_rows(x, items) for m, x in z.items()}
            parts = separate(z, fit=self.training)
        if self.training:
            self.measures.keep()

        user, pos, neg = batch.rows(z_user, z_item)
        base = 2 if self.released else "e"
        bpr = inner_product_bpr(user, pos, neg, base=base)
        if self.last_step is not None:
            self.last_step.keep(z_user, z_item)
        return {"bpr": bpr, **parts}

    def fuse(
        self, data: HeteroData, hidden: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Users, items, and each modality's items, from the MLPs' first layers."""
        z = {m: mlp.tail(hidden[m]) for m, mlp in self.mlps.items()}
        h = self.gcn.propagate(z, self.user_item_graph(data))
        z_user, z_item = self.gcn.fuse(h, self.item_graph(data))
        return z_user, z_item, {m: h_item for m, (_, h_item) in h.items()}

    def hidden(self, z: dict[str, Tensor]) -> dict[str, Tensor]:
        """First layers of the MLPs, from the encoders' output."""
        return {m: mlp.first(z[m]) for m, mlp in self.mlps.items()}

    def maps(
        self,
        data: HeteroData,
        readers: Sequence[str] = MLP,
        items: Tensor | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        """Linear maps that read the encoders' output, per modality and by name.

        Encoder and readers are linear, so their product is composed where that is
        cheaper (5.7 times at 4096 features); the wide output is then never made.
        """
        out = {}
        for m, encoder in self.encoders.items():
            half = encoder.out_features // 2
            generic, unique = slice(0, half), slice(half, None)
            every: dict[str, tuple[slice, nn.Linear]] = {
                "mlp": (slice(None), self.mlps[m].first)
            }
            if m in self.separate.heads and self.separate.align_weight:
                every["head"] = (generic, self.separate.heads[m].first)
            if m in self.separate.maps_generic and self.separate.distance_weight:
                every["generic"] = (generic, self.separate.maps_generic[m])
                every["unique"] = (unique, self.separate.maps_unique[m])
            chosen = {name: every[name] for name in every if name in readers}
            consumers = [(s, r.weight, r.bias) for s, r in chosen.values()]
            x = take_rows(self.item_features(data, m), items)
            outputs = chained_linear(x, encoder.weight, encoder.bias, consumers)
            out[m] = dict(zip(chosen, outputs, strict=True))
        return out

    def maps_are_read(self) -> bool:
        """True if the distance reads the encoders' output through :meth:`maps`."""
        at_encoder = self.split_at == "encoder" and self.plugin is None
        return at_encoder and len(self.separate.club) > 0

    def separate_from_maps(
        self, maps: dict[str, dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Alignment and distance, from what :meth:`maps` returns."""
        separate = self.separate
        zero = self.gcn.fuse_users.weight.new_zeros(())
        terms = {"align": zero, "distance": zero}
        if separate.alignment is not None and separate.align_weight:
            terms["align"] = separate.align_loss({m: maps[m]["head"] for m in maps})
        if separate.distance_weight:
            pairs = {m: (maps[m]["generic"], maps[m]["unique"]) for m in maps}
            terms["distance"] = separate.distance_loss(pairs, fit=self.training)
        return terms

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        self.measures.start_epoch()

    def epoch_measures(self, epoch: int) -> dict[str, float]:
        return self.measures.of_epoch()

    @torch.no_grad()
    def evaluation_measures(self, data: HeteroData) -> dict[str, float]:
        separate = self.separate
        if not (separate.club and separate.distance_weight):
            return {}
        return self.measures.at_evaluation(self.distance_inputs(data))

    def distance_inputs(self, data: HeteroData) -> Halves:
        """What the distance is between, of all items."""
        if self.maps_are_read():
            maps = self.maps(data, SEPARATION)
            return {m: (maps[m]["generic"], maps[m]["unique"]) for m in maps}
        z = self.encode_modalities(data)
        if self.split_at == "graph":
            z = self.fuse(data, self.hidden(z))[2]
        return self.separate.distance_inputs(z)

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        return list(self.separate.estimator_parameters())

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        optimizer = self.separate.estimator_optimizer
        return {} if optimizer is None else {"estimator": optimizer}
