"""What a training step sees."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Index tensors of equal length; ``neg_item`` is None for models without it.

    Example:
        >>> import torch
        >>> Batch(torch.tensor([0]), torch.tensor([3]), torch.tensor([5])).neg_item
        tensor([5])
    """

    user: Tensor
    pos_item: Tensor
    neg_item: Tensor | None = None
