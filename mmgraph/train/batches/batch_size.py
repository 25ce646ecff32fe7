"""A batch that grows with the graph, and the learning rate that goes with it.

A system that propagates over the whole graph does so in every step, so that an epoch of
batches of one size costs the square of the interactions. With a number of steps that is
bounded, it costs as much as the graph is large.
"""

from __future__ import annotations

import math

#: The batch of the papers, for which their learning rates were chosen.
USUAL_BATCH_SIZE = 2048
#: Most steps of an epoch.
MOST_STEPS = 64


def automatic_batch_size(num_interactions: int) -> int:
    """The usual batch, or as many interactions as make 64 steps of an epoch.

    Args:
        num_interactions: Training interactions.

    Example:
        >>> automatic_batch_size(100_000), automatic_batch_size(8_000_000)
        (2048, 125000)
    """
    return max(USUAL_BATCH_SIZE, -(-num_interactions // MOST_STEPS))


def scaled_learning_rate(lr: float, batch_size: int) -> float:
    r"""The learning rate of a batch of another size than the usual one.

    .. math::
        \eta_B = \eta \sqrt{B / 2048}

    The root, because Adam divides a gradient by its size: what is left to grow with the
    batch is how much less it scatters (Malladi et al., "On the SDEs and Scaling Rules
    for Adaptive Gradient Algorithms", NeurIPS 2022).

    Args:
        lr: The learning rate of the usual batch.
        batch_size: Interactions per step.

    Example:
        >>> scaled_learning_rate(1e-3, 8192)
        0.002
    """
    return lr * math.sqrt(batch_size / USUAL_BATCH_SIZE)
