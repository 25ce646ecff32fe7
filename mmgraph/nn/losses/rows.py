"""The batches that losses are means over."""

from __future__ import annotations

from torch import Tensor

from mmgraph.errors import UserError


def check_rows(x: Tensor, owner: str) -> None:
    """Refuse an empty batch: the mean over no rows is not defined, and would be NaN.

    Args:
        x: A batch ``[N, ...]``.
        owner: Whose mean it is, for the message.

    Raises:
        UserError: If there is no row.

    Example:
        >>> import torch
        >>> check_rows(torch.zeros(0, 3), "CLUBLoss")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: CLUBLoss: an empty batch has no mean (got shape \
[0, 3]) - leave empty batches out
    """
    if x.size(0) == 0:
        raise UserError(
            f"{owner}: an empty batch has no mean (got shape {list(x.shape)})",
            "leave empty batches out",
        )
