"""Counts of one modality of a catalogue, in one pass over its rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mmgraph.data import FeatureRows

_DIGEST_BYTES = 16  # two different rows of a billion agree once in 10^20


@dataclass(frozen=True)
class ModalitySummary:
    """Counts of a modality.

    Attributes:
        dim: Dimension of a row.
        rows: Items of the catalogue.
        missing_rows: Items without a feature.
        zero_rows: Features that are all zero, which mostly means missing.
        duplicate_groups: Groups of two and more equal rows, zero rows left out.
        duplicate_rows: Rows equal to an earlier one.
        largest_duplicate_group: Size of the largest group; 0 without one.
        mean_share: Fraction of the mean squared length that is the mean vector's, 0 to
            1: how much of every row is common to all rows.
    """

    dim: int
    rows: int
    missing_rows: int
    zero_rows: int
    duplicate_groups: int
    duplicate_rows: int
    largest_duplicate_group: int
    mean_share: float


def summarise_modality(rows: FeatureRows) -> tuple[ModalitySummary, np.ndarray]:
    """Count missing, zero and equal rows.

    Args:
        rows: The modality.

    Returns:
        The counts, and boolean ``[N]``: the items that have a row which is not zero.

    Example:
        >>> features = np.array([[1.0, 0], [0, 0], [1, 0]], np.float32)
        >>> summary, present = summarise_modality(FeatureRows(features))
        >>> summary.zero_rows, summary.duplicate_groups, present.tolist()
        (1, 1, [True, False, True])
    """
    missing = rows.missing
    present = np.zeros(rows.num_items, bool)
    total, square = np.zeros(rows.dim), 0.0
    digests = []
    for start, block in rows.blocks():
        present[start : start + len(block)] = (block != 0).any(axis=1)
        block = block[present[start : start + len(block)]]
        total += block.sum(axis=0, dtype=np.float64)
        square += float(np.square(block, dtype=np.float64).sum())
        block += np.float32(0)  # -0 becomes 0: equal numbers are equal bytes
        digests += [
            hashlib.blake2b(row.tobytes(), digest_size=_DIGEST_BYTES).digest()
            for row in block
        ]
    known = np.frombuffer(b"".join(digests), dtype=f"V{_DIGEST_BYTES}")
    _, size = np.unique(known, return_counts=True)
    count = int(present.sum())
    return (
        ModalitySummary(
            dim=rows.dim,
            rows=rows.num_items,
            missing_rows=int(missing.sum()),
            zero_rows=int((~present & ~missing).sum()),
            duplicate_groups=int((size > 1).sum()),
            duplicate_rows=int((size - 1).sum()),
            largest_duplicate_group=int(size[size > 1].max(initial=0)),
            mean_share=float(total @ total) / count / square if count else 0.0,
        ),
        present,
    )
