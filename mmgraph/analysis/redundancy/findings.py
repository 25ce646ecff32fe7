"""The findings of a diagnosis in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmgraph.analysis.redundancy.modality_summary import ModalitySummary
from mmgraph.functional import SharedRank


def reason(
    singular_values: Sequence[float],
    suggestion: SharedRank,
    strength: float,
    gap: float,
) -> str:
    """The reason for this rank and this strength, in sentences.

    Args:
        singular_values: Descending.
        suggestion: The rank, by the rule of :func:`mmgraph.functional.shared_rank`.
        strength: The suggested strength.
        gap: Relative gap after the rank.

    Example:
        >>> print(reason([4.0, 1.0, 0.9], SharedRank(1, True, 0.1), 0.5, 0.75))
        The first shared direction is above chance, and the fall after it, 75 % of \
the largest singular value, is the last clear one (5 % or more). Strength 0.50 brings \
the largest down to the level of the next. Quality of recommendation is not \
measured here: let validation decide.
    """
    rank = suggestion.rank
    if rank == 0:
        return (
            "No shared direction is above what randomly matched items would show: "
            "there is nothing to project out."
        )
    head, after = "The first shared direction is", "it"
    if rank > 1:
        head, after = f"The first {rank} shared directions are", "them"
    if suggestion.is_clear:
        why = (
            f"{head} above chance, and the fall after {after}, {gap:.0%} of the "
            "largest singular value, is the last clear one (5 % or more)."
        ).replace("%", " %", 1)
    else:
        why = (
            f"{head} above chance, but the spectrum falls smoothly: no fall reaches "
            f"5 % of the largest singular value, the one after {after} is the largest. "
            "The rank is a convention here."
        )
    after_rank = singular_values[rank] if rank < len(singular_values) else 0.0
    level = "the next" if after_rank >= suggestion.chance else "chance"
    return (
        f"{why} Strength {strength:.2f} brings the largest down to the level of "
        f"{level}. Quality of recommendation is not measured here: let validation "
        "decide."
    )


def pair_notes(
    correlations: Sequence[float],
    energy_removed: Mapping[str, float],
    angles: Mapping[str, float],
    overlap: Mapping[str, tuple[float, float]],
) -> list[str]:
    """Warnings about a pair.

    Args:
        correlations: Of the coordinates along the suggested directions.
        energy_removed: Fraction of each modality's variance that is removed.
        angles: Largest principal angle between halves, in degrees, by modality.
        overlap: Low end of the neighbour overlap and high end of chance, by K.

    Example:
        >>> pair_notes([0.9], {"visual": 0.2}, {"visual": 3.0}, {"10": (0.1, 0.02)})
        []
    """
    notes = []
    for name, fraction in energy_removed.items():
        if fraction >= 0.5:
            notes.append(
                f"The projection takes {100 * fraction:.0f} % of the variance of "
                f"{name}: its own main axes, shared or not."
            )
    if correlations and max(correlations) < 0.5:
        notes.append(
            "Along every suggested direction the two modalities correlate by "
            f"{max(correlations):.2f} at most: these directions are loud rather than "
            "redundant."
        )
    for name, angle in angles.items():
        if angle > 45:
            notes.append(
                f"The shared directions of {name} differ by up to {angle:.0f} degrees "
                "between halves of the catalogue: they are not well determined."
            )
    if overlap and all(low <= chance for low, chance in overlap.values()):
        notes.append(
            "Neighbours agree no more than by chance, at any number of neighbours."
        )
    return notes


def modality_notes(name: str, summary: ModalitySummary) -> list[str]:
    """Warnings about a modality.

    Example:
        >>> summary = ModalitySummary(4, 100, 0, 30, 0, 0, 0, 0.1)
        >>> modality_notes("visual", summary)
        ['30 of 100 rows of visual are zero: taken as missing.']
    """
    notes = []
    if summary.zero_rows:
        notes.append(
            f"{summary.zero_rows} of {summary.rows} rows of {name} are zero: taken as "
            "missing."
        )
    if summary.largest_duplicate_group > max(2, 0.01 * summary.rows):
        notes.append(
            f"{summary.largest_duplicate_group} items have the same {name} row, which "
            "looks like a placeholder: leave these items out of the file."
        )
    if summary.mean_share >= 0.5:
        notes.append(
            f"{100 * summary.mean_share:.0f} % of the squared length of {name} is one "
            "vector common to all items: cosines are high whatever the items."
        )
    return notes
