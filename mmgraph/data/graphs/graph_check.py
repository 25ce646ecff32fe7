"""Graphs that were read: every field is checked before it is used."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor

from mmgraph.data.formats.budget import check_budget
from mmgraph.data.graphs.item_graphs import GraphFacts, GraphFile, ModalityGraph
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import READ
from mmgraph.functional.graph.edge_digest import graph_digest
from mmgraph.options import NonNegativeInt, Option, fits

_FIELDS = get_type_hints(GraphFacts, include_extras=True)
#: Similarities of two rows lie in this range, rounding included.
_RANGES = {
    "cosine": (-1 - 1e-6, 1 + 1e-6),
    "ip": (-math.inf, math.inf),
    "l2": (-math.inf, 0.0),
}
_LARGEST = 2**63


class _FaultError(Exception):
    """What is wrong with a field."""


def check_graphs(file: GraphFile, path: Path, fix: str, *, size: int) -> None:
    """Refuse graphs of which a field is of another type, out of its range, or damaged.

    Each list of edges must have the hash that its record says. No memory is taken that
    grows with a number in the file. For a million items with ten neighbours each it
    takes 0.25 s (one core).

    Args:
        file: What was read.
        path: Where it was read, for the message.
        fix: Remedy, for the message.
        size: Bytes of the file, which bound the number of items.

    Raises:
        UserError: The first fault.

    Example:
        >>> check_graphs(GraphFile(2, ["a", "a"], {}), Path("g.pt"), "again", size=9)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: g.pt: two items have the same id - again
    """
    try:
        _check_items(file, size)
    except _FaultError as fault:
        raise UserError(str(fault), fix, path=path) from None
    for name, graph in file.graphs.items():
        try:
            _check_record(graph.facts)
            _check_tensors(graph)
            _check_edges(graph, file.num_items)
        except _FaultError as fault:
            what = f"the graph of {name!r} is damaged: {fault}"
            raise UserError(what, fix, path=path) from None


def _check_items(file: GraphFile, size: int) -> None:
    count, ids = file.num_items, file.ids
    _require(fits(count, NonNegativeInt), "the number of items must be an integer")
    try:
        check_budget("", 8 * count, size=size)
    except UserError:
        raise _FaultError(f"{count:.4g} items are more than it can be of") from None
    if ids is None:
        return
    _require(isinstance(ids, list) and len(ids) == count, "it has not one id per item")
    kinds = {type(each) for each in ids}
    _require(kinds <= {str} or kinds <= {int}, "ids must be all integers, or all words")
    if kinds == {int}:
        _require(-_LARGEST <= min(ids) <= max(ids) < _LARGEST, "an id has over 64 bits")
    _require(len(set(ids)) == count, "two items have the same id")


def _check_record(facts: Any) -> None:
    _require(isinstance(facts, dict), "it has no record")
    for name in _FIELDS:
        required = name in GraphFacts.__required_keys__
        _require(name in facts or not required, f"no record of {name!r}")
    for name, value in facts.items():
        _check_fact(name, value)


def _check_fact(name: Any, value: Any) -> None:
    _require(type(name) is str, "its record has a key that is no word")
    if name == "features":
        is_names = isinstance(value, list) and all(type(v) is str for v in value)
        _require(is_names, "'features' must be a list of paths")
    elif name in _FIELDS:
        domain = Option(name, _FIELDS[name], None).domain
        _require(fits(value, _FIELDS[name]), f"{name!r} must be {domain}")
    else:  # of another version
        plain = fits(value, bool | int | float | str | None)
        _require(plain, f"{name!r} must be one plain value")
    fits_64_bits = type(value) is not int or abs(value) < _LARGEST
    _require(fits_64_bits, f"{name!r} has over 64 bits")
    if name.endswith("_sha256"):
        is_hash = type(value) is str and re.fullmatch("[0-9a-f]{64}", value)
        _require(bool(is_hash), f"{name!r} must be a SHA-256")


def _check_tensors(graph: ModalityGraph) -> None:
    edges = graph.edge_index
    _check_plain(edges, "edge_index", torch.int64)
    _require(edges.dim() == 2 and len(edges) == 2, "edge_index must be [2, E]")
    for name, values in (("similarity", graph.similarity), ("weight", graph.weight)):
        _check_plain(values, name, torch.float32)
        _require(list(values.shape) == [edges.size(1)], f"{name} must be [E]")


def _check_plain(values: Any, name: str, dtype: torch.dtype) -> None:
    """Refuse all but a tensor that has each of its values in memory, once."""
    plain = (
        type(values) is Tensor
        and values.layout is torch.strided
        and not values.is_nested
        and not values.is_quantized
        and not values.requires_grad
        and not values.is_neg()
        and values.device.type == "cpu"
    )
    _require(plain, f"{name} is no plain tensor")
    _require(values.dtype == dtype, f"{name} must be {dtype}, not {values.dtype}")
    held = values.untyped_storage().nbytes()
    _require(values.numel() * dtype.itemsize <= held, f"{name} repeats its values")


def _check_edges(graph: ModalityGraph, num_items: int) -> None:
    facts, metric = graph.facts, graph.facts["metric"]
    low, high = _RANGES[metric]
    num_centres = 0
    for edges, similarity, weight, last in _blocks(graph):
        inside = 0 <= int(edges.min()) <= int(edges.max()) < num_items
        _require(inside, "an edge is of no item")
        own = facts.get("include_self", False) or bool((edges[0] != edges[1]).all())
        _require(own, "a row is its own neighbour")
        steps = torch.diff(edges[1], prepend=edges.new_tensor([last]))
        _require(bool((steps >= 0).all()), "edges are not in the order of their centre")
        num_centres += int(steps.count_nonzero())
        least, most = float(similarity.min()), float(similarity.max())
        possible = math.isfinite(least) and math.isfinite(most)
        possible &= low <= least and most <= high  # NaN is the least of all in torch
        _require(possible, f"a similarity cannot be of metric {metric!r}")
        _check_weights(weight, similarity, facts["weights"])
    _check_degrees(graph.edge_index[1], num_centres, facts)
    digest = graph_digest(graph.edge_index, graph.similarity)
    _require(digest == facts["graph_sha256"], "its edges do not have their SHA-256")


def _blocks(graph: ModalityGraph) -> Iterator[tuple[Tensor, Tensor, Tensor, int]]:
    """Edges, similarities and weights a block at a time, and the centre before it."""
    step, last = READ.cpu, -1
    for start in range(0, len(graph.weight), step):
        part = slice(start, start + step)
        edges = graph.edge_index[:, part]
        yield edges, graph.similarity[part], graph.weight[part], last
        last = int(edges[1, -1])


def _check_weights(weight: Tensor, similarity: Tensor, kind: str) -> None:
    right = {
        "similarity": lambda: torch.equal(weight, similarity),
        "binary": lambda: bool((weight == 1).all()),
        "symmetric": lambda: 0 < float(weight.min()) <= float(weight.max()) <= 1,
    }
    _require(right[kind](), f"a weight cannot be of weights {kind!r}")


def _check_degrees(centre: Tensor, num_centres: int, facts: GraphFacts) -> None:
    """Refuse rows with more neighbours than ``k``, or others than their record says.

    Every row that has neighbours has as many as there are other such rows, at most
    ``k``. In an undirected graph a mutual edge may be missing, and the others come from
    both ends.
    """
    k, num_edges = facts["k"], len(centre)
    if not num_edges or facts["symmetrise"] == "union":
        return
    if facts["symmetrise"] == "mutual":
        more = k < num_edges and bool((centre[k:] == centre[:-k]).any())
        _require(not more, f"a row has more than {k} neighbours")
        return
    degree = min(k, num_centres - (not facts.get("include_self", False)))
    even = num_edges == num_centres * degree and torch.equal(
        centre[::degree], centre[degree - 1 :: degree]
    )
    _require(even, f"a row has not its k = {k} neighbours")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _FaultError(what)
