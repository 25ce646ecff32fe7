"""The linear layer for raw features."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.functional.wide_linear import wide_linear


class WideLinear(nn.Linear):
    r"""PyTorch's linear layer, faster on a CPU for rows far wider than the output.

    .. math::
        \mathbf{Y} = \mathbf{X} \mathbf{W}^\top + \mathbf{b}

    Parameters, their names and their start are those of ``torch.nn.Linear``; see
    :func:`~mmgraph.functional.wide_linear.wide_linear`.

    Shapes:
        - **input:** :math:`(N, D)`
        - **output:** :math:`(N, d)`

    Example:
        >>> import torch
        >>> WideLinear(4096, 64)(torch.ones(2, 4096)).shape
        torch.Size([2, 64])
    """

    def forward(self, x: Tensor) -> Tensor:
        return wide_linear(x, self.weight, self.bias)
