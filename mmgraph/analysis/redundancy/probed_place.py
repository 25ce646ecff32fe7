"""Recall of content neighbours in one place, over ranks and strengths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbePoint:
    """Recall of the neighbours after one projection.

    Attributes:
        rank: Directions that were projected out of each modality; 0: none.
        strength: The strength.
        recall: Mean recall@20 over the users.
        difference: That mean less the one of rank 0.
        error: Standard error of the difference over the users (of ``recall`` itself
            at rank 0).
    """

    rank: int
    strength: float
    recall: float
    difference: float
    error: float


@dataclass(frozen=True)
class ProbedPlace:
    """A place where the features are used, with and without projections.

    Attributes:
        place: The modality's name, ``"graph"`` or ``"concatenation"``.
        weights: Weight of each modality in the graph, None for other places.
        points: Rank 0 first, then by rank and strength.
    """

    place: str
    weights: dict[str, float] | None
    points: list[ProbePoint]

    @property
    def name(self) -> str:
        """The name for a reader.

        Example:
            >>> ProbedPlace("graph", {"visual": 0.1, "textual": 0.9}, []).name
            'the graph (visual 0.1, textual 0.9)'
        """
        if self.place == "concatenation":
            return "all features side by side"
        if self.weights is None:
            return self.place
        weights = (f"{m} {w:.2g}" for m, w in self.weights.items())
        return f"the graph ({', '.join(weights)})"
