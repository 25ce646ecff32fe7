"""A model's scores of unseen items, made to look like interactions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.graph.relaxed_interactions import relaxed_interactions
from mmgraph.functional.recommend.unseen import map_unseen_scores, unseen_scores
from mmgraph.nn.losses.row_critic import RowCritic
from mmgraph.options import Dimension, NodeCount, NonNegativeFloat, PositiveFloat

#: One row per user of the batch, and one per item.
Factors = tuple[Tensor, Tensor]


class AdversarialScoreLoss(RowCritic):
    r"""A critic of rows :math:`\mathrm{norm}((\mathbf{x}_u \mathbf{Y}^\top) \odot
    (1 - \mathbf{R}_u))`, from their factors :math:`\mathbf{x}_u` and
    :math:`\mathbf{Y}`.

    From Wei et al., "Multi-Modal Self-Supervised Learning for Recommendation", WWW
    2023. Several generators, one per modality, face one critic; what it takes for real
    is :func:`~mmgraph.functional.relaxed_interactions`. The generated rows are never
    made (:func:`~mmgraph.functional.map_unseen_scores`); the real ones are, one per
    user, and need memory for users of the batch times items.

    Args:
        num_items: Number of items.
        hidden_channels: As in :class:`RowCritic`.
        noise_scale: Of the noise in the real rows.
        score_weight: Of the model's final scores in the real rows.
        options: Of :class:`RowCritic`.

    Shapes:
        - **generators:** per modality the users of the batch :math:`(B, d)` and all
          items :math:`(I, d)`
        - **seen:** the items of these users, as
          :func:`~mmgraph.functional.seen_items` gives them
        - **output:** scalar

    Example:
        >>> adversary = AdversarialScoreLoss(num_items=4, hidden_channels=2)
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2, 0], [0, 1]]), num_src=4, num_dst=2
        ... )
        >>> factors = torch.rand(2, 3), torch.rand(4, 3)
        >>> _ = adversary.fit([factors], factors, seen)
        >>> adversary.loss([factors], seen).shape
        torch.Size([])
    """

    def __init__(
        self,
        num_items: NodeCount,
        hidden_channels: Dimension,
        *,
        noise_scale: PositiveFloat = 2e-3,
        score_weight: NonNegativeFloat = 100.0,
        **options: Any,
    ) -> None:
        super().__init__(num_items, hidden_channels, **options)
        self.noise_scale, self.score_weight = noise_scale, score_weight

    def fit(self, generators: list[Factors], final: Factors, seen: Adjacency) -> Tensor:
        """One step of the critic; nothing flows back into the factors."""
        with torch.no_grad():
            scores = unseen_scores(*final, seen)
            real = relaxed_interactions(
                seen, self.noise_scale, scores, self.score_weight
            )
        constant = [(user.detach(), item.detach()) for user, item in generators]
        with torch.enable_grad():
            fake = self._responses(constant, seen, self.table)
            # The same real rows for each modality: their responses are made once.
            return self.step((real @ self.table).repeat(len(generators), 1), fake)

    def loss(self, generators: list[Factors], seen: Adjacency) -> Tensor:
        """Loss of the generators; the critic gets no gradient."""
        return self.generator_loss(
            self._responses(generators, seen, self.table.detach())
        )

    def _responses(
        self, generators: list[Factors], seen: Adjacency, weight: Tensor
    ) -> Tensor:
        return torch.cat(
            [map_unseen_scores(user, item, seen, weight) for user, item in generators]
        )
