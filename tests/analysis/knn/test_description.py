from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import isclose, sqrt

import pytest
import torch

from mmgraph.analysis.knn.description import describe, overlaps
from mmgraph.data.graphs.graph_file import GraphFile, ModalityGraph
from mmgraph.knn import knn_graph


def modality_graph(edge_index, k):
    ones = torch.ones(edge_index.size(1))
    return ModalityGraph(edge_index, ones, ones, {"k": k})


def lists_as_graph(lists, k):
    pairs = [(neighbour, centre) for centre, own in lists.items() for neighbour in own]
    return modality_graph(torch.tensor(pairs).T, k)


def slow_components(pairs, num_items):
    """Merge the two sets of every edge until none is left to merge."""
    label = list(range(num_items))
    for a, b in pairs:
        old, new = label[a], label[b]
        label = [new if value == old else value for value in label]
    return len(set(label))


@pytest.mark.parametrize("k", [1, 3])
def test_every_number_equals_a_slow_count(x, k):
    edge_index, _ = knn_graph(x, k)
    got = describe(modality_graph(edge_index, k), 60)
    pairs = edge_index.T.tolist()
    linked = {node for pair in pairs for node in pair}
    times = Counter(neighbour for neighbour, _ in pairs)
    assert got["num_edges"] == len(pairs) == 59 * k
    assert got["isolated_rows"] == 60 - len(linked) == 1
    assert got["components"] == slow_components(pairs, 60)
    most = sorted(linked, key=lambda node: (-times[node], node))[:10]
    assert got["hubs"] == [[node, times[node]] for node in most]
    for least, greatest, rows in got["in_lists_histogram"]:
        assert rows == sum(least <= times[node] <= greatest for node in linked)
    assert sum(rows for *_, rows in got["in_lists_histogram"]) == len(linked)
    mean = sum(times.values()) / len(linked)
    second, third = (
        sum((times[node] - mean) ** power for node in linked) / len(linked)
        for power in (2, 3)
    )
    assert isclose(got["hubness"], third / (second * sqrt(second)), rel_tol=1e-9)


def test_a_graph_without_edges_is_all_isolated():
    got = describe(modality_graph(torch.zeros((2, 0), dtype=torch.long), 3), 4)
    assert got == {
        "num_edges": 0,
        "components": 4,
        "isolated_rows": 4,
        "hubness": 0.0,
        "hubs": [],
        "in_lists_histogram": [],
    }


def test_every_pair_of_modalities_is_compared_once():
    same = {0: [1], 1: [0], 2: [0]}
    graphs = {
        "a": lists_as_graph(same, 1),
        "b": lists_as_graph(same, 1),
        "c": lists_as_graph({0: [1], 1: [2], 2: [1]}, 1),
    }
    assert overlaps(GraphFile(3, None, graphs)) == [
        {"modalities": ["a", "b"], "value": 1.0, "expected": 0.5},
        {"modalities": ["a", "c"], "value": 1 / 3, "expected": 0.5},
        {"modalities": ["b", "c"], "value": 1 / 3, "expected": 0.5},
    ]


@pytest.mark.parametrize("lengths", [(2, 2), (1, 3), (3, 1), (9, 9)])
def test_what_random_lists_share_is_the_mean_over_all_lists(lengths):
    """Node 0 of five, every possible list in one graph beside every one in the other.

    A list of nine neighbours holds the four others.
    """
    values = []
    one, other = (min(length, 4) for length in lengths)
    for a in combinations(range(1, 5), one):
        for b in combinations(range(1, 5), other):
            graphs = {
                "a": lists_as_graph({0: a}, lengths[0]),
                "b": lists_as_graph({0: b}, lengths[1]),
            }
            (row,) = overlaps(GraphFile(5, None, graphs))
            values.append(row["value"])
    assert row["expected"] == pytest.approx(sum(values) / len(values), abs=1e-12)
