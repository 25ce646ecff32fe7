"""MMSSL."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.root_norm import root_norm_graphs
from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.functional.losses.grace import grace
from mmgraph.functional.losses.regularizers import half_square_penalty
from mmgraph.functional.recommend.unseen import seen_items, top_unseen_items
from mmgraph.functional.rows import take_rows
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.generated_items import GeneratedItems
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.models.parts.item_features import encode_features
from mmgraph.nn.encoder import AlternatingEncoder
from mmgraph.nn.fusion import CrossModalAttention
from mmgraph.nn.losses import AdversarialScoreLoss
from mmgraph.nn.modality_dict import linear_maps
from mmgraph.options import (
    Dimension,
    Dims,
    DropRatio,
    Fidelity,
    LayerCount,
    ListLength,
    NodeCount,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from mmgraph.schema import INTERACTS

#: Users and items.
Pair = tuple[Tensor, Tensor]
#: The graph to the users and the graph to the items.
Graphs = tuple[Adjacency, Adjacency]


class MMSSL(Recommender):
    r"""`"Multi-Modal Self-Supervised Learning for Recommendation"
    <https://arxiv.org/abs/2302.10632>`_ (Wei et al., WWW 2023).

    Features reach the users and come back; with :math:`\bar{\mathbf{A}} =
    \mathbf{D}^{-1/2} \mathbf{A}`, the degree being the target's,

    .. math::
        \mathbf{U}_m = \bar{\mathbf{R}}\, \mathrm{drop}(\mathbf{X}_m \mathbf{W}_m
        + \mathbf{b}_m), \qquad
        \mathbf{V}_m = \bar{\mathbf{R}^\top} \mathbf{U}_m

    They generate a user-item graph per modality, :math:`\mathbf{G}_m`: the :math:`K`
    items each user has not interacted with whose :math:`\langle \mathbf{u}_m,
    \mathbf{v}_m \rangle` is largest. ID embeddings spread over it, attend to each
    other across modalities (:class:`~mmgraph.nn.fusion.CrossModalAttention`), and are
    propagated:

    .. math::
        \mathbf{P}_m = \bar{\mathbf{G}}_m \mathbf{E}_I, \quad
        \mathbf{Q}_m = \bar{\mathbf{G}_m^\top} \mathbf{E}_U, \qquad
        \mathbf{U}^0 = \mathbf{E}_U + \eta\, \mathrm{norm}(\mathrm{att}_m
        \mathbf{P}_m), \quad
        \mathbf{V}^0 = \mathbf{E}_I + \eta\, \mathrm{norm}(\mathrm{att}_m \mathbf{Q}_m)

    .. math::
        \mathbf{U}^l = \bar{\mathbf{R}} \mathbf{V}^{l-1}, \quad
        \mathbf{V}^l = \bar{\mathbf{R}^\top} \mathbf{U}^l, \qquad
        \mathbf{Z} = \frac{1}{L+1} \sum_l [\mathbf{U}^l; \mathbf{V}^l]
        + \omega \sum_m \mathrm{norm}([\mathbf{U}_m; \mathbf{V}_m])

    where layer :math:`L` also passes through a softmax over its columns. Beside BPR and
    penalties, the users of the batch are contrasted across the two halves of the
    model, and a critic (:class:`~mmgraph.nn.losses.AdversarialScoreLoss`) compares the
    generated scores of unseen items, as rows of length 1, with softened interactions;
    each step trains the critic first:

    .. math::
        L = L_{BPR} + \lambda_r \|\mathbf{Z}_{batch}\|^2
        + \lambda_x \sum_m \|[\mathbf{U}_m; \mathbf{V}_m]\|^2 / I
        + \lambda_c \sum_m L_{GRACE}(\mathbf{P}_m, \bar{\mathbf{U}}; \tau)
        + \lambda_a L_G

    with :math:`\bar{\mathbf{U}}` the mean over the layers and half the squares. No
    generated row is ever made: the critic's first layer is applied to its factors. The
    softened interactions are, one row per distinct user of the batch.

    Adam's weight decay is decoupled. The learning rate falls by the factor 0.96 each 50
    epochs (``lr_decay``); the authors train on Sports with learning rate 5e-4,
    ``refresh_batches=2``, ``num_neighbors=367`` and ``noise_scale=5e-3``. With a single
    modality attention has nothing to choose, and its query and key rest.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dims: Dimension of each modality's features.
        embedding_dim: Dimension of the embeddings.
        num_layers: Layers :math:`L` of the propagation.
        num_heads: Heads of the attention.
        num_neighbors: Generated items :math:`K` per user (default: 10; ``"released"``:
            one per 10,000 items of the catalogue).
        refresh_batches: Batches between two refreshes of :math:`\mathbf{G}_m`, of
            ``"released"``.
        dropout: Fraction of the mapped features' entries that is dropped.
        graph_weight: Weight :math:`\eta` of the generated graphs.
        feature_weight: Weight :math:`\omega` of the feature views in the embeddings.
        contrast_weight: Weight :math:`\lambda_c` of the contrast.
        contrast_temperature: Temperature :math:`\tau` of the contrast.
        adversarial_weight: Weight :math:`\lambda_a` of the critic's term. At 0 there is
            no critic.
        critic_dim: Dimension of the critic's first hidden layer, twice the second's
            (default: 64; ``"released"``: a quarter of the number of items).
        critic_lr: Learning rate of the critic.
        noise_scale: Scale of the noise in the softened interactions.
        score_weight: Weight of the model's own scores in them.
        reg_weight: Weight :math:`\lambda_r` of half the squares per triple.
        feature_reg_weight: Weight :math:`\lambda_x` of the features' penalty.
        fidelity: ``"paper"``: :math:`\mathbf{G}_m` is generated for all users at the
            start of each epoch. ``"released"`` is the public code with its accidents.
            :math:`\mathbf{G}_m` starts as the interactions; each ``refresh_batches``
            batches of an epoch it becomes what was generated for the users of the
            batches since the last refresh, that one left out, *and nothing else*. At 1
            it is empty from the third batch on (from the second at the default
            ``num_neighbors`` of less than 10,000 items): the ID embeddings get nothing
            from it and the contrast is a constant. Attention returns what it was given,
            whatever query and key. The critic has no activation, and as many weights as
            a quarter of the squared number of items. The penalty is divided by 1024
            whatever the batch.

    Example:
        >>> MMSSL(3, 5, {"visual": 16}, embedding_dim=8)
        MMSSL(3, 5, {'visual': 16}, embedding_dim=8, num_layers=2)
    """

    lr = 5.5e-4
    weight_decay = 1e-2
    decoupled_weight_decay = True
    lr_decay = 0.96
    multimodal = True
    random_loss = True
    fidelities = ("paper", "released")
    growth = replace(BY_INTERACTIONS, anew=("generated.lists", "adversary.*"))

    shown = ("embedding_dim", "num_layers")

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        dims: Dims,
        *,
        embedding_dim: Dimension = 64,
        num_layers: LayerCount = 2,
        num_heads: PositiveInt = 4,
        num_neighbors: ListLength | None = None,
        refresh_batches: PositiveInt = 1,
        dropout: DropRatio = 0.2,
        graph_weight: NonNegativeFloat = 0.36,
        feature_weight: NonNegativeFloat = 0.55,
        contrast_weight: NonNegativeFloat = 0.03,
        contrast_temperature: PositiveFloat = 0.5,
        adversarial_weight: NonNegativeFloat = 1e-4,
        critic_dim: Dimension | None = None,
        critic_lr: PositiveFloat = 3e-4,
        noise_scale: PositiveFloat = 2e-3,
        score_weight: NonNegativeFloat = 100.0,
        reg_weight: NonNegativeFloat = 1e-5,
        feature_reg_weight: NonNegativeFloat = 1e-5,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, dims, fidelity=fidelity)
        released = fidelity == "released"
        self.num_layers = num_layers
        if num_neighbors is None:
            num_neighbors = num_items // 10_000 if released else 10
        self.graph_weight, self.feature_weight = graph_weight, feature_weight
        self.dropout, self.contrast_temperature = dropout, contrast_temperature
        self.contrast_weight = contrast_weight
        self.adversarial_weight = adversarial_weight
        self.reg_weight, self.feature_reg_weight = reg_weight, feature_reg_weight
        self.add_id_embeddings(embedding_dim)
        self.project = linear_maps(self.dims, embedding_dim)
        self.encoder = AlternatingEncoder(num_layers)
        self.attend = CrossModalAttention(embedding_dim, num_heads)
        self.attend.query.requires_grad_(not released)
        self.attend.key.requires_grad_(not released)
        self.generated = GeneratedItems(
            len(self.dims), num_users, num_neighbors, refresh_batches
        )
        self.adversary: AdversarialScoreLoss | None = None
        if adversarial_weight:
            default_dim = max(1, num_items // 4) if released else 64
            self.adversary = AdversarialScoreLoss(
                num_items,
                default_dim if critic_dim is None else critic_dim,
                noise_scale=noise_scale,
                score_weight=score_weight,
                slope=1.0 if released else 0.01,
                lr=critic_lr,
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform embeddings and maps, PyTorch's default for the biases."""
        super().reset_parameters()
        for linear in self.project.values():
            linear.reset_parameters()
            nn.init.xavier_uniform_(linear.weight)
        self.attend.reset_parameters()
        if self.adversary is not None:
            self.adversary.reset_parameters()

    def _encode_modalities(
        self, data: HeteroData, items: Tensor | None = None
    ) -> dict[str, Tensor]:
        return encode_features(self.project, data, items)

    def encoders_reach_scores(self) -> bool:
        by_graph = self.graph_weight and self.generated.k
        return bool(self.feature_weight or by_graph)

    def encode(self, data: HeteroData) -> Pair:
        features = self.feature_views(data)
        _, mean = self.propagate(data)
        return self.add_features(mean, features)

    def summed_terms(self) -> tuple[str, ...]:
        return ("reg",) if self.released else ()

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        by_batch = self.released and self.training
        collects = by_batch and not self.generated.next_batch() and self.generated.k
        features = self.feature_views(data)
        p, (u_mean, v_mean) = self.propagate(data)
        z_user, z_item = self.add_features((u_mean, v_mean), features)

        user, pos, neg = batch.rows(z_user, z_item)
        size = 1024 if self.released else len(user)
        penalty = half_square_penalty(user, pos, neg, batch_size=size)
        views = [view for pair in features.values() for view in pair]
        feature_penalty = half_square_penalty(*views, batch_size=len(z_item))
        terms = {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * penalty,
            "features": self.feature_reg_weight * feature_penalty,
        }
        # The authors' batches hold each user once.
        users = batch.whole.user.unique()
        if self.contrast_weight:
            anchors = [take_rows(p_m, users) for p_m in p]
            u_rows, tau = take_rows(u_mean, users), self.contrast_temperature
            contrast = [grace(anchor, u_rows, tau) for anchor in anchors]
            terms["contrast"] = self.contrast_weight * torch.stack(contrast).sum()
        if self.adversary is not None:
            seen = self.seen(data, users)
            generators = [(take_rows(u, users), v) for u, v in features.values()]
            if self.training:
                final = take_rows(z_user, users), z_item
                self.adversary.fit(generators, final, seen)
            adversarial = self.adversary.loss(generators, seen)
            terms["adversarial"] = self.adversarial_weight * adversarial
        if collects:
            self.generated.collect(users, self.generate(data, features, users))
        return terms

    # Embeddings -----------------------------------------------------------------

    def feature_views(self, data: HeteroData, *, drop: bool = True) -> dict[str, Pair]:
        r"""Users :math:`\mathbf{U}_m` and items :math:`\mathbf{V}_m` by features."""
        to_user, to_item = self.interaction_graphs(data)
        views = {}
        for m, f in self.encode_modalities(data).items():
            u = to_user.matmul(F.dropout(f, self.dropout, self.training and drop))
            views[m] = u, to_item.matmul(u)
        return views

    def propagate(self, data: HeteroData) -> tuple[list[Tensor], Pair]:
        r"""The :math:`\mathbf{P}_m`, and users and items as the mean of the layers."""
        graphs = self.modality_graphs(data)
        p = [to_user.matmul(self.item.weight) for to_user, _ in graphs]
        q = [to_item.matmul(self.user.weight) for _, to_item in graphs]
        u = self.user.weight + self.graph_weight * F.normalize(self.mix(p))
        v = self.item.weight + self.graph_weight * F.normalize(self.mix(q))

        return p, self.encoder(u, v, *self.interaction_graphs(data))

    def mix(self, views: list[Tensor]) -> Tensor:
        """Attention across the modalities; in the public code each head copies."""
        if self.released:
            mean = torch.stack(views).mean(dim=0)
            copied: Tensor = self.attend.combine(mean.repeat(1, self.attend.num_heads))
            return copied
        mixed: Tensor = self.attend(views)
        return mixed

    def add_features(self, z: Pair, features: dict[str, Pair]) -> Pair:
        """The direction of each modality added."""
        z_user, z_item = z
        for u, v in features.values():
            z_user = z_user + self.feature_weight * F.normalize(u)
            z_item = z_item + self.feature_weight * F.normalize(v)
        return z_user, z_item

    # Graphs ---------------------------------------------------------------------

    def on_epoch_start(
        self, data: HeteroData, epoch: int, generator: torch.Generator
    ) -> None:
        self.generated.start_epoch()
        if not self.released:
            with torch.no_grad():
                features = self.feature_views(data, drop=False)
                self.generated.replace(self.generate(data, features))

    def fold_in(self, data: HeteroData, users: Tensor, items: Tensor) -> None:
        """As by default, and the graphs are generated anew."""
        super().fold_in(data, users, items)
        features = self.feature_views(data, drop=False)
        self.generated.replace(self.generate(data, features))

    @torch.no_grad()
    def generate(
        self, data: HeteroData, features: dict[str, Pair], users: Tensor | None = None
    ) -> Tensor:
        """Best unseen items of all or the given users in each modality."""
        seen, k = self.seen(data, users), self.generated.k
        neighbours = [
            top_unseen_items(take_rows(u, users), v, seen, k)
            for u, v in features.values()
        ]
        return torch.stack(neighbours)

    def seen(self, data: HeteroData, users: Tensor | None) -> Adjacency:
        """Interactions of all or the given users; their weights mean nothing."""
        history, _ = self.interaction_graphs(data)
        return history if users is None else seen_items(history, users)

    def modality_graphs(self, data: HeteroData) -> list[Graphs]:
        r"""The graphs :math:`\bar{\mathbf{G}}_m`; the interactions, to begin with."""

        def build() -> list[Graphs]:
            count = len(self.dims)
            if not bool(self.generated.known):
                return [self.interaction_graphs(data)] * count
            edges = [self.generated.edge_index(m) for m in range(count)]
            return [
                root_norm_graphs(edge_index, self.num_users, self.num_items)
                for edge_index in edges
            ]

        sources = (
            data[INTERACTS].edge_index,
            self.generated.lists,
            self.generated.known,
        )
        return self.cached("modality graphs", sources, build)

    def interaction_graphs(self, data: HeteroData) -> Graphs:
        r"""The graphs :math:`\bar{\mathbf{R}}` and :math:`\bar{\mathbf{R}^\top}`."""
        edge_index = data[INTERACTS].edge_index
        return self.cached(
            "interactions",
            (edge_index,),
            lambda: root_norm_graphs(edge_index, self.num_users, self.num_items),
        )

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        own = [] if self.adversary is None else list(self.adversary.parameters())
        return own

    def auxiliary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        own: dict[str, torch.optim.Optimizer] = {}
        if self.adversary is not None:
            own["critic"] = self.adversary.optimizer
        return own
