"""The seed of all random draws of an epoch: batches, negatives, dropout, noise."""

from __future__ import annotations

import numpy as np

#: Which numbers a seed draws; to be raised with any change of them, since runs of two
#: kinds are not parts of one benchmark. With 1, of versions before 0.8, all seeds drew
#: the same on a CPU and differed in the initial parameters alone.
DRAWS = 2


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of an epoch's draws, other for each seed and each epoch.

    torch's generator takes the low 32 bits on a CPU and all 64 on CUDA, so both numbers
    are mixed into both halves.

    Args:
        seed: Of the run.
        epoch: From 1; 0 is what comes before.

    Example:
        >>> a, b = epoch_seed(999, 1), epoch_seed(1000, 1)
        >>> a % 2**32 != b % 2**32
        True
    """
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return int(mixed[0])
