"""Graphs of one catalogue, and the record of how each was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import torch

from mmgraph.options import PositiveInt


class _FactsOfSome(TypedDict, total=False):
    #: Dimension of the features; older graphs do not record it.
    dim: PositiveInt
    #: Of the features, where it is not float32.
    dtype: Literal["float16", "float32", "float64"]
    include_self: bool
    #: Column of the item ids in its files, where it has none of the usual names.
    id_column: str


class GraphFacts(_FactsOfSome):
    """The record of a build, by which a graph can be verified and extended."""

    k: PositiveInt
    metric: Literal["cosine", "ip", "l2"]
    nan: Literal["refuse", "isolate"]
    duplicates: Literal["keep", "collapse"]
    symmetrise: Literal["none", "union", "mutual"]
    weights: Literal["similarity", "binary", "symmetric"]
    #: False if the graph is approximate.
    exact: bool
    #: Paths of the files that it was built from.
    features: list[str]
    input_sha256: str
    #: Of the canonical list of edges.
    graph_sha256: str


@dataclass
class ModalityGraph:
    """The graph of one modality.

    Attributes:
        edge_index: int64 ``[2, E]``: neighbour (row 0) and centre (row 1) of each edge.
        similarity: float32 ``[E]``.
        weight: float32 ``[E]``.
        facts: How it was made.
    """

    edge_index: torch.Tensor
    similarity: torch.Tensor
    weight: torch.Tensor
    facts: GraphFacts


@dataclass
class GraphFile:
    """Graphs of one or several modalities over the same items.

    Attributes:
        num_items: Number of items; item = row.
        ids: Their original ids, integers or strings, or None.
        graphs: Modality -> graph.
    """

    num_items: int
    ids: list[Any] | None
    graphs: dict[str, ModalityGraph]
