"""The seeds of all random draws of an epoch: batches, negatives, dropout, noise."""

from __future__ import annotations

import numpy as np

#: Which numbers a seed draws; to be raised with any change of them, since runs of two
#: kinds are not parts of one benchmark. With 1, of versions before 0.8, all seeds drew
#: the same on a CPU and differed in the initial parameters alone.
DRAWS = 2


def epoch_seeds(seed: int, epoch: int) -> tuple[int, int]:
    """Seeds of an epoch's two generators, other for each seed and each epoch.

    The first is of what the trainer draws, the second of what the model draws from
    torch's own generator: of one seed, both would draw the same numbers. A generator
    takes the low 32 bits on a CPU and all 64 on CUDA, so both arguments are mixed into
    both halves.

    Args:
        seed: Of the run.
        epoch: From 1; 0 is what comes before.

    Example:
        >>> (a, b), (c, d) = epoch_seeds(999, 1), epoch_seeds(1000, 1)
        >>> len({each % 2**32 for each in (a, b, c, d)})
        4
    """
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)
    return int(mixed[0]), int(mixed[1])
