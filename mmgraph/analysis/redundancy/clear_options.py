"""The options of CLEAR that a diagnosis gives a reason to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmgraph.analysis.redundancy.modality_summary import ModalitySummary
from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.redundancy.probe_findings import clear_change, noise_level

#: From here on a fraction is said to be most of a whole.
_MOST = 0.5


@dataclass(frozen=True)
class ClearOption:
    """Options of CLEAR to try on validation, and what in the data suggests them.

    Attributes:
        options: Values by name.
        reason: The reason, in a sentence.
    """

    options: dict[str, Any]
    reason: str


def clear_options(
    modalities: Mapping[str, ModalitySummary],
    pairs: Sequence[PairDiagnosis],
    probe: Probe | None,
) -> list[ClearOption]:
    """Options of CLEAR that the data suggest, beside rank and strength.

    Nothing is trained: each is worth a point of a grid, not more.

    Args:
        modalities: Counts of each modality.
        pairs: The pairs.
        probe: What projecting does to content neighbours, if it was measured.

    Example:
        >>> summary = ModalitySummary(4, 100, 0, 0, 0, 0, 0, mean_share=0.8)
        >>> [each.options for each in clear_options({"visual": summary}, [], None)]
        [{'center_output': True}, {'feature_scale': 'standardized'}]
    """
    found: list[ClearOption] = []
    for name, summary in modalities.items():
        if summary.mean_share >= _MOST and not found:
            why = (
                f"{100 * summary.mean_share:.0f} % of the squared length of {name} is "
                "one vector common to all items"
            )
            found.append(
                ClearOption(
                    {"center_output": True},
                    f"{why}, which the rows' normalisation after the projection keeps.",
                )
            )
            found.append(
                ClearOption(
                    {"feature_scale": "standardized"},
                    f"{why}, which the encoders would have to learn to leave out.",
                )
            )
    for pair in pairs:
        found += _of_pair(pair)
    return found + ([] if probe is None else _of_probe(probe))


def _of_pair(pair: PairDiagnosis) -> list[ClearOption]:
    rank = pair.suggested_rank
    found: list[ClearOption] = []
    names = " and ".join(pair.modalities)
    head = pair.correlations[:rank]
    if head and max(head) < _MOST:
        found.append(
            ClearOption(
                {"directions": "canonical"},
                f"Along the suggested directions {names} correlate by "
                f"{max(head):.2f} at most: directions of the correlation do not go by "
                "loudness.",
            )
        )
    if rank and not pair.rank_is_clear:
        found.append(
            ClearOption(
                {"effective_rank": True},
                f"The spectrum of {names} falls smoothly, so that no rank stands out; "
                f"its effective rank is {pair.effective_rank:.1f}.",
            )
        )
    at_rank = next((cost for cost in pair.costs if cost.rank == rank), None)
    if at_rank is not None:
        lost = at_rank.energy_removed
        (spared, little), (_, much) = sorted(lost.items(), key=lambda item: item[1])
        if much >= _MOST > 2 * little:
            other = next(name for name in lost if name != spared)
            found.append(
                ClearOption(
                    {"sides": spared},
                    f"Projecting both takes {100 * much:.0f} % of the variance of "
                    f"{other} and {100 * little:.0f} % of that of {spared}.",
                )
            )
    return found


def _of_probe(probe: Probe) -> list[ClearOption]:
    level = noise_level(probe.places)
    graphs = [place for place in probe.places if place.weights is not None]
    changes = [(place, clear_change(place, level)) for place in graphs]
    gains = [
        (place, point) for place, point in changes if point and point.difference > 0
    ]
    if not gains:
        return []
    place, point = max(gains, key=lambda gain: gain[1].difference)
    return [
        ClearOption(
            {"graph_rank": point.rank, "graph_strength": point.strength},
            f"On validation {place.name} gains {point.difference:.4f} recall@20 by it "
            "(on another host: where=graph with this rank and strength).",
        )
    ]
