"""Neighbour sampling for PyG's loaders, without a compiled package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NodeSamplerInput,
)
from torch_geometric.sampler.neighbor_sampler import edge_sample, node_sample

from mmgraph.functional.recommend.neighbor_sampling import draw_entries
from mmgraph.schema import EdgeType


class NeighborSampler(BaseSampler):
    """PyG's neighbour sampling of a catalogue, in plain torch.

    PyG's own sampler needs ``pyg-lib`` or ``torch-sparse``; this one stands in its
    place as ``neighbor_sampler`` of ``LinkNeighborLoader`` and of ``NeighborLoader``.
    As there, a node draws its neighbours once, in the hop after the one that reached
    it, without replacement and of each edge type alike, so that a batch is a graph on
    which any PyG model can be run.

    Args:
        data: The catalogue; messages go along its edges.
        num_neighbors: Neighbours per hop and edge type; -1 takes all.

    Example:
        >>> from torch_geometric.loader import LinkNeighborLoader
        >>> from mmgraph.data import load_dataset
        >>> train, _, _ = load_dataset("synthetic")
        >>> loader = LinkNeighborLoader(
        ...     train,
        ...     num_neighbors=[5, 5],
        ...     neighbor_sampler=NeighborSampler(train, [5, 5]),
        ...     edge_label_index=("user", "interacts", "item"),
        ...     neg_sampling="triplet",
        ...     batch_size=4,
        ... )
        >>> batch = next(iter(loader))
        >>> len(batch["user"].src_index), len(batch["item"].dst_neg_index)
        (4, 4)
    """

    def __init__(self, data: HeteroData, num_neighbors: Sequence[int]) -> None:
        self.num_neighbors = list(num_neighbors)
        self.num_nodes = {kind: int(data[kind].num_nodes) for kind in data.node_types}
        self._edges = {
            edge_type: _by_target(data[edge_type].edge_index, self.num_nodes[target])
            for edge_type in data.edge_types
            for target in [edge_type[-1]]
        }

    def sample_from_nodes(
        self, index: NodeSamplerInput, **kwargs: Any
    ) -> HeteroSamplerOutput:
        return node_sample(index, self._sample)

    def sample_from_edges(
        self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        return edge_sample(
            index, self._sample, self.num_nodes, False, neg_sampling=neg_sampling
        )

    def _sample(
        self, seed: dict[str, Tensor], seed_time: Any = None
    ) -> HeteroSamplerOutput:
        reached = {kind: _Reached(count) for kind, count in self.num_nodes.items()}
        for kind, nodes in seed.items():
            reached[kind].start_from(nodes)
        drawn: dict[EdgeType, list[Tensor]] = {kind: [] for kind in self._edges}
        for count in self.num_neighbors:
            asking = {kind: each.next_hop() for kind, each in reached.items()}
            for edge_type, (rowptr, source, position) in self._edges.items():
                nodes, number = asking[edge_type[-1]]
                starts, entry, _ = draw_entries(rowptr, nodes, count)
                reached[edge_type[0]].add(source[entry])
                ends = source[entry], number.repeat_interleave(starts.diff())
                drawn[edge_type].append(torch.stack([*ends, position[entry]]))
        return _output(reached, drawn)


class _Reached:
    """The nodes of one kind that a sample has reached, in the order of their hops."""

    def __init__(self, num_nodes: int) -> None:
        self.number = torch.full((num_nodes,), -1)
        self.nodes = torch.empty(0, dtype=torch.long)
        self.per_hop: list[int] = []

    def start_from(self, seed: Tensor) -> None:
        """Number the seeds as they come: a loader reads the results of seed i at i.

        One that comes twice is there twice, and edges from it start at the first.
        """
        nodes, place = seed.unique(return_inverse=True)
        number = torch.arange(len(seed))
        first = torch.full_like(nodes, len(seed))
        self.number[nodes] = first.scatter_reduce_(0, place, number, "amin")
        self.nodes = seed

    def add(self, nodes: Tensor) -> None:
        """Number those that are new."""
        new = nodes[self.number[nodes] < 0].unique()
        self.number[new] = len(self.nodes) + torch.arange(len(new))
        self.nodes = torch.cat([self.nodes, new])

    def next_hop(self) -> tuple[Tensor, Tensor]:
        """The nodes that are new since the last call, and their numbers."""
        start, stop = sum(self.per_hop), len(self.nodes)
        self.per_hop.append(stop - start)
        return self.nodes[start:], torch.arange(start, stop)


def _by_target(edge_index: Tensor, num_targets: int) -> tuple[Tensor, Tensor, Tensor]:
    """Start of each target's edges, their sources, and their places among the edges."""
    source, target = edge_index.cpu()
    order = target.argsort(stable=True)
    counts = target.bincount(minlength=num_targets)
    return F.pad(counts.cumsum(0), (1, 0)), source[order], order


def _output(
    reached: dict[str, _Reached], drawn: dict[EdgeType, list[Tensor]]
) -> HeteroSamplerOutput:
    """As PyG's loaders take it: edges by the numbers of their nodes in the sample.

    Those that were drawn have the node of their source, and the number of their target.
    """
    none = torch.empty(3, 0, dtype=torch.long)
    edges = {kind: torch.cat([none, *hops], dim=1) for kind, hops in drawn.items()}
    for each in reached.values():
        each.next_hop()
    return HeteroSamplerOutput(
        node={kind: each.nodes for kind, each in reached.items()},
        row={kind: reached[kind[0]].number[e[0]] for kind, e in edges.items()},
        col={kind: e[1] for kind, e in edges.items()},
        edge={kind: e[2] for kind, e in edges.items()},
        num_sampled_nodes={kind: each.per_hop for kind, each in reached.items()},
        num_sampled_edges={
            kind: [hop.size(1) for hop in hops] for kind, hops in drawn.items()
        },
    )
