"""Views of the same rows, brought into common spaces one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgraph.functional.distinct_candidates import contrast_with_distinct
from mmgraph.functional.rows import take_rows
from mmgraph.options import CheckedOptions, Dimension, PositiveFloat, PositiveInt


class ChainedAlignmentLoss(CheckedOptions, nn.Module):
    r"""Contrast along a chain of common spaces, from fine to coarse.

    With views :math:`\mathbf{h}^0, \dots, \mathbf{h}^M` of the same rows and linear
    maps :math:`G`, a query passes from space to space and meets one view in each,

    .. math::
        \mathbf{q}_1 = G_1 \mathbf{h}^0, \qquad
        \mathbf{q}_m = G_m \mathbf{q}_{m-1}, \qquad
        L = \sum_{m=1}^{M} \mathrm{NCE}(\mathbf{q}_m, G'_m \mathbf{h}^m)

    with inner products over a temperature as logits and the other rows as negatives.
    It is the task "feature alignment and contrasting" of Tao et al., "Self-Supervised
    Learning for Multimedia Recommendation", 2022: the ID meets the visual, then the
    acoustic, then the textual view. The last space has half the dimension; its query
    comes by two maps where no view stands between the first and the last, as where the
    acoustic one is left out.

    Args:
        num_modalities: :math:`M`, at least 1.
        channels: Dimension of the views.
        temperature: Above 0.

    Shapes:
        - **input:** :math:`M + 1` views :math:`(B, F)`, that of the ID first
        - **output:** scalar

    Raises:
        ValueError: If there is no modality or the temperature is not above 0.

    Example:
        >>> loss = ChainedAlignmentLoss(num_modalities=2, channels=8, temperature=0.2)
        >>> loss([torch.randn(4, 8) for _ in range(3)]).shape
        torch.Size([])
    """

    def __init__(
        self,
        num_modalities: PositiveInt,
        channels: Dimension,
        temperature: PositiveFloat,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        last = num_modalities > 1
        dims = [channels] * (num_modalities - last) + [max(1, channels // 2)] * last
        self.view = nn.ModuleList(nn.Linear(channels, dim) for dim in dims)
        self.query = nn.ModuleList(nn.Linear(channels, dim) for dim in dims)
        if num_modalities == 2:
            self.query.insert(1, nn.Linear(channels, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights, PyTorch's default for the biases."""
        for linear in (*self.view, *self.query):
            linear.reset_parameters()
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, views: list[Tensor], index: Tensor | None = None) -> Tensor:
        """Loss of the first view's rows against the other views, one by one.

        Args:
            views: The views.
            index: Which of their rows the batch consists of, each at least once, where
                a row occurs several times (default: each row once).
        """
        if index is None:
            index = torch.arange(views[0].size(0), device=views[0].device)
        maps = list(self.query)
        if len(self.query) > len(self.view):
            maps[1:] = [nn.Sequential(*maps[1:])]
        query, total = views[0], views[0].new_zeros(())
        for to_query, to_view, view in zip(maps, self.view, views[1:], strict=True):
            query = to_query(query)
            total = total + contrast_with_distinct(
                take_rows(query, index), to_view(view), index, self.temperature
            )
        return total

    def extra_repr(self) -> str:
        """Options shown in the module's repr."""
        return f"temperature={self.temperature}"
