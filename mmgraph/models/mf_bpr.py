"""MF-BPR."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from mmgraph.functional.losses.bpr import bpr_loss
from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.parts.regularize import embedding_penalty


class MFBPR(Recommender):
    r"""Matrix factorisation from `"BPR: Bayesian Personalized Ranking from Implicit
    Feedback" <https://arxiv.org/abs/1205.2618>`_ (Rendle et al., UAI 2009).

    .. math::
        \hat{x}_{ui} = \langle \mathbf{p}_u, \mathbf{q}_i \rangle, \qquad
        L = -\ln \sigma(\hat{x}_{ui} - \hat{x}_{uj}) + \lambda \Omega

    Args:
        num_users: Number of users.
        num_items: Number of items.
        embedding_dim: Width of the embeddings.
        reg_weight: :math:`\lambda`.
        fidelity: :math:`\Omega` is half the squared norm per triple in ``"paper"``; in
            ``"released"`` it is the norm of the whole batch, not squared, by its rows.

    Example:
        >>> MFBPR(3, 5, embedding_dim=8)
        MFBPR(3, 5, embedding_dim=8)
    """

    fidelities = ("paper", "released")

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        embedding_dim: int = 64,
        reg_weight: float = 1e-4,
        fidelity: str = "paper",
    ) -> None:
        super().__init__()
        self.reg_weight, self.fidelity = reg_weight, self.check_fidelity(fidelity)
        self.user = nn.Embedding(num_users, embedding_dim)
        self.item = nn.Embedding(num_items, embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-normal tables."""
        nn.init.xavier_normal_(self.user.weight)
        nn.init.xavier_normal_(self.item.weight)

    def encode(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        return self.user.weight, self.item.weight

    def loss(self, data: HeteroData, batch: Batch) -> dict[str, Tensor]:
        user, pos, neg = batch.rows(self.user.weight, self.item.weight)
        return {
            "bpr": bpr_loss((user * pos).sum(-1), (user * neg).sum(-1)),
            "reg": self.reg_weight * embedding_penalty(self.fidelity, user, pos, neg),
        }

    def __repr__(self) -> str:
        users, dim = self.user.weight.shape
        return f"MFBPR({users}, {self.item.num_embeddings}, embedding_dim={dim})"
