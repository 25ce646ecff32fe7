"""A probe before any training: does projecting out shared directions pay here?"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.analysis.redundancy.probe_findings import probe_suggestion
from mmgraph.analysis.redundancy.probed_place import ProbedPlace, ProbePoint
from mmgraph.functional import shared_bases, suppress
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.models.floors.neighbour_floor import NeighbourFloor
from mmgraph.models.parts.content_neighbours import (
    comparable_features,
    nearest_items,
    weighted_union,
)
from mmgraph.models.parts.item_graph import modality_weights
from mmgraph.schema import INTERACTS, ITEM, USER, modalities
from mmgraph.train.evaluation import evaluate

METRIC, CUTOFF = "recall@20", 20
#: Every point finds the neighbours of all items anew, so more would not be seconds.
MOST_ITEMS = 30_000
RANKS, STRENGTHS = (4, 8, 16, 32), (0.5, 1.0)


@dataclass(frozen=True)
class Probe:
    """Recall on validation of content neighbours, over ranks and strengths.

    Attributes:
        metric: ``"recall@20"``.
        split: ``"valid"``: test is never read.
        k: Neighbours of each item.
        num_users: Users that were drawn.
        places: The places.
        suggestion: What they say, in sentences.
    """

    metric: str
    split: str
    k: int
    num_users: int
    places: list[ProbedPlace]
    suggestion: str


def probe_projection(
    train: HeteroData,
    valid: HeteroData,
    *,
    k: int = 10,
    ranks: Sequence[int] = RANKS,
    strengths: Sequence[float] = STRENGTHS,
    num_users: int = 2000,
    seed: int = 0,
) -> Probe:
    """Measure content neighbours on validation, after projections of many ranks.

    No system is trained. A user's items bring their nearest neighbours, by each
    modality, by the graph of FREEDOM (``visual`` .1, the others .9) and that of equal
    weights, and by all features side by side. Features are centred and brought to one
    scale; then the first directions that the modalities share are projected out of
    each (CLEAR, 2026).

    Args:
        train: Training split.
        valid: Validation split of the same data.
        k: Neighbours of each item.
        ranks: Ranks beside 0; those beyond a modality's dimension are left out.
        strengths: Strengths of the projection.
        num_users: Users with validation items that are drawn, all if there are fewer.
        seed: Seed of that draw.

    Raises:
        ValueError: If there are fewer than two modalities, or fewer than two users
            with validation items.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, valid, _ = load_dataset("synthetic")
        >>> probe = probe_projection(train, valid, ranks=[4], strengths=[1.0])
        >>> [place.place for place in probe.places]
        ['visual', 'textual', 'graph', 'graph', 'concatenation']
        >>> [point.rank for point in probe.places[0].points]
        [0, 4]
    """
    names = modalities(train)
    if len(names) < 2:
        raise ValueError(f"the probe needs two modalities or more (got {names})")
    valid = _of_some_users(valid, num_users, seed)
    x = {m: comparable_features(train, m).float() for m in names}
    settings = [(0, 0.0), *((rank, s) for rank in ranks for s in strengths)]
    largest = min(features.size(1) for features in x.values())
    settings = [(rank, s) for rank, s in settings if rank <= largest]
    bases, _ = shared_bases(x, max(rank for rank, _ in settings))
    unions = _union_weights(names)
    recalls: list[list[np.ndarray]] = [[] for _ in range(len(names) + len(unions) + 1)]
    for rank, strength in settings:
        projected = {
            m: suppress(features, bases[m][:, :rank], strength)
            for m, features in x.items()
        }
        for place, graph in enumerate(_graphs(projected, unions, k)):
            recalls[place].append(_recall(graph, valid))
    kinds = [*names, *["graph"] * len(unions), "concatenation"]
    weights = [*[None] * len(names), *unions, None]
    places = [
        ProbedPlace(kind, of_graph, _points(settings, values))
        for kind, of_graph, values in zip(kinds, weights, recalls, strict=True)
    ]
    users = recalls[0][0].size
    return Probe(METRIC, "valid", k, users, places, probe_suggestion(places, users))


def _of_some_users(valid: HeteroData, num_users: int, seed: int) -> HeteroData:
    """The split with the positives of some users alone."""
    edges = valid[INTERACTS].edge_label_index
    users = edges[0].unique()
    if users.numel() < 2:
        raise ValueError(
            f"the probe needs two users with validation items (got {users.numel()})"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(users.numel(), generator=generator).to(users.device)
    drawn = users[order[:num_users]]
    sample = copy.copy(valid)
    sample[INTERACTS].edge_label_index = edges[:, torch.isin(edges[0], drawn)]
    return sample


def _union_weights(names: list[str]) -> list[dict[str, float]]:
    """Weights of FREEDOM's graph and equal ones, once where they are the same."""
    equal = dict.fromkeys(names, 1.0 / len(names))
    usual = modality_weights(names)
    return [equal] if usual == equal else [usual, equal]


def _graphs(
    x: Mapping[str, Tensor], unions: Sequence[Mapping[str, float]], k: int
) -> Iterator[Adjacency]:
    """The item graph of every place, in their order."""
    graphs = {m: nearest_items(features, k) for m, features in x.items()}
    yield from graphs.values()
    for weights in unions:
        yield weighted_union(graphs, weights)
    yield nearest_items(torch.cat(list(x.values()), dim=1), k)


class _GivenNeighbours(NeighbourFloor):
    """A floor whose neighbours were found before."""

    shown = ()

    def __init__(self, num_users: int, num_items: int, graph: Adjacency) -> None:
        super().__init__(num_users, num_items)
        self.graph = graph

    def neighbours(self, data: HeteroData) -> Adjacency:
        return self.graph


def _recall(graph: Adjacency, valid: HeteroData) -> np.ndarray:
    """Recall of each user by these neighbours."""
    num_users, num_items = int(valid[USER].num_nodes), int(valid[ITEM].num_nodes)
    model = _GivenNeighbours(num_users, num_items, graph)
    values: np.ndarray = evaluate(model, valid, ks=(CUTOFF,), per_user=True)[METRIC]
    return values


def _points(
    settings: Sequence[tuple[int, float]], recalls: Sequence[np.ndarray]
) -> list[ProbePoint]:
    points = []
    for (rank, strength), values in zip(settings, recalls, strict=True):
        difference = values - recalls[0]
        spread = difference if rank else values
        error = float(spread.std(ddof=1) / values.size**0.5)
        mean = float(values.mean())
        points.append(ProbePoint(rank, strength, mean, float(difference.mean()), error))
    return points
