"""Soft samples from a categorical distribution."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel_softmax(
    logits: Tensor, temperature: float, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Softmax of noisy logits: :math:`\mathrm{softmax}((\mathbf{x} + \mathbf{g})
    / \tau)` with :math:`g = -\ln(-\ln u),\ u \sim \mathrm{U}(0, 1)`.

    From Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2017. The
    largest entry of a row is at ``j`` with probability :math:`\mathrm{softmax}(x)_j`.

    Args:
        logits: Rows of logits.
        temperature: :math:`\tau > 0`; the smaller, the closer to a one-hot row.
        generator: Of the noise (default: that of the device of ``logits``). With one of
            the CPU the noise is the same on every device.

    Shapes:
        - **input:** :math:`(N, C)`
        - **output:** :math:`(N, C)`, rows sum to 1

    Raises:
        ValueError: If ``temperature`` is not above 0.

    Example:
        >>> row = gumbel_softmax(torch.zeros(1, 3), temperature=0.2)
        >>> row.shape, round(row.sum().item(), 4)
        (torch.Size([1, 3]), 1.0)
    """
    if not temperature > 0:
        raise ValueError(f"'temperature' must be above 0 (got {temperature})")
    device = logits.device if generator is None else generator.device
    u = torch.rand(logits.shape, dtype=logits.dtype, device=device, generator=generator)
    u.clamp_min_(torch.finfo(u.dtype).tiny)  # a 0 among millions is likely
    # Not Tensor.exponential_, which takes three times as long as rand and log (CPU).
    gumbel = u.log_().neg_().log_().neg_()
    return ((logits + gumbel.to(logits.device)) / temperature).softmax(dim=-1)
