"""MF-BPR."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bpr import inner_product_bpr
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.growth import BY_INTERACTIONS
from mmgraph.models.parts.regularize import embedding_penalty
from mmgraph.options import Dimension, Fidelity, NodeCount, NonNegativeFloat


class MFBPR(Recommender):
    r"""Matrix factorisation from `"BPR: Bayesian Personalized Ranking from Implicit
    Feedback" <https://arxiv.org/abs/1205.2618>`_ (Rendle et al., UAI 2009).

    .. math::
        \hat{x}_{ui} = \langle \mathbf{p}_u, \mathbf{q}_i \rangle, \qquad
        L = -\ln \sigma(\hat{x}_{ui} - \hat{x}_{uj}) + \lambda \Omega

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Dimension of the embeddings.
        reg_weight: Weight :math:`\lambda` of the penalty.
        fidelity: :math:`\Omega` is half the squared norm per triple in ``"paper"``; in
            ``"released"`` it is the norm of the whole batch, not squared, by its rows.

    Example:
        >>> MFBPR(3, 5, embedding_dim=8)
        MFBPR(3, 5, embedding_dim=8)
    """

    fidelities = ("paper", "released")
    growth = BY_INTERACTIONS
    rescaled = ("reg_weight",)

    reads_features = False

    def __init__(
        self,
        num_users: NodeCount,
        num_items: NodeCount,
        *,
        embedding_dim: Dimension = 64,
        reg_weight: NonNegativeFloat = 1e-4,
        fidelity: Fidelity = "paper",
    ) -> None:
        super().__init__(num_users, num_items, fidelity=fidelity)
        self.reg_weight = reg_weight
        self.add_id_embeddings(embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-normal embeddings."""
        nn.init.xavier_normal_(self.user.weight)
        nn.init.xavier_normal_(self.item.weight)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item.weight

    def row_tables(self, *, sampled: bool) -> list[nn.Embedding]:
        return [self.user, self.item]

    def column_tables(self) -> list[nn.Embedding]:
        return [self.user, self.item]

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        rows = batch.whole.rows(self.user, self.item)
        user, pos, neg = batch.own(*rows)
        return {
            "bpr": inner_product_bpr(user, pos, neg),
            "reg": self.reg_weight * embedding_penalty(self.fidelity, *rows),
        }
