"""The findings of a probe in sentences, as far as its noise lets them be seen."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import stats

from mmgraph.analysis.redundancy.probed_place import ProbedPlace, ProbePoint
from mmgraph.analysis.report.formatting import decimals

_LET_VALIDATION = (
    "Systems that learn may answer otherwise: let validation decide "
    "(docs/findings.md says what some answered)."
)


def clear_change(place: ProbedPlace, level: float) -> ProbePoint | None:
    """The projection that changes a place most, if noise does not explain it.

    The largest gain, or without one the largest loss.

    Args:
        place: The place.
        level: Standard errors that a difference must be away from 0.

    Example:
        >>> points = [ProbePoint(0, 0.0, 0.2, 0.0, 0.01)]
        >>> points += [ProbePoint(r, 1.0, 0.2 + d, d, 0.01) for r, d in ((4, -0.1),)]
        >>> clear_change(ProbedPlace("visual", None, points), level=3).rank
        4
    """
    points = [point for point in place.points if point.rank]
    clear = [p for p in points if abs(p.difference) > level * p.error]
    gains = [point for point in clear if point.difference > 0]
    if gains:
        return max(gains, key=lambda point: point.difference)
    return min(clear, key=lambda point: point.difference) if clear else None


def noise_level(places: Sequence[ProbedPlace]) -> float:
    """Standard errors that chance exceeds anywhere in one probe of twenty (Bonferroni).

    Example:
        >>> point = ProbePoint(4, 1.0, 0.2, 0.0, 0.01)
        >>> round(noise_level([ProbedPlace("visual", None, [point])]), 2)
        1.96
    """
    tested = sum(bool(point.rank) for place in places for point in place.points)
    return float(stats.norm.isf(0.025 / max(1, tested)))


def probe_suggestion(places: Sequence[ProbedPlace], num_users: int) -> str:
    """What a probe suggests.

    Args:
        places: Its places.
        num_users: Its users.

    Example:
        >>> point = ProbePoint(0, 0.0, 0.1, 0.0, 0.01)
        >>> probe_suggestion([ProbedPlace("visual", None, [point])], 99).split(":")[0]
        'Projecting changes nothing that 99 users could show'
    """
    level = noise_level(places)
    changes = {place.name: clear_change(place, level) for place in places}
    errors = [
        point.error
        for place in places
        for point in place.points
        if point.rank and changes[place.name] is None
    ]
    unseen = f"differences up to {decimals(level * max(errors, default=0.0))}"
    if not any(changes.values()):
        what = f"Projecting changes nothing that {num_users} users could show"
        return f"{what}: {unseen} could hide in their noise. {_LET_VALIDATION}"
    clear = [(name, point) for name, point in changes.items() if point is not None]
    gains = [_change(name, point) for name, point in clear if point.difference > 0]
    losses = [_change(name, point) for name, point in clear if point.difference < 0]
    parts = [f"Projecting pays for {'; for '.join(gains)}."] if gains else []
    if losses:
        parts.append(f"Projecting costs recall by {'; by '.join(losses)}.")
    if errors:
        parts.append(f"Elsewhere nothing is seen: {unseen} could hide in the noise.")
    return " ".join([*parts, _LET_VALIDATION])


def _change(name: str, point: ProbePoint) -> str:
    before = decimals(point.recall - point.difference)
    return (
        f"{name}, {before} to {decimals(point.recall)} at rank {point.rank} and "
        f"strength {point.strength:g} ({point.difference:+.4f} ± {point.error:.4f})"
    )
