from __future__ import annotations

import torch

from mmgraph.analysis.knn.examples import ITEMS, NEIGHBOURS, example_tables
from mmgraph.data import GraphFile, ModalityGraph
from mmgraph.knn import knn_graph

X = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))


def graph(x, k, order=None):
    edge_index, similarity = knn_graph(x, k)
    if order is not None:
        edge_index, similarity = edge_index[:, order], similarity[order]
    return ModalityGraph(edge_index, similarity, similarity, {})


def test_neighbours_are_those_of_the_cosines_nearest_first():
    shuffled = torch.randperm(40 * 7, generator=torch.Generator().manual_seed(1))
    file = GraphFile(40, [f"i{n}" for n in range(40)], {"a": graph(X, 7, shuffled)})
    (table,) = example_tables(file)
    assert table.columns == ["Item", *map(str, range(1, NEIGHBOURS + 1))]
    assert len(table.rows) == ITEMS
    assert (table.rows[0][0], table.rows[-1][0]) == ("i0", "i39")
    cosine = torch.nn.functional.cosine_similarity(X[:, None], X[None], dim=-1)
    cosine.fill_diagonal_(-2)
    for item, *cells in table.rows:
        value, place = cosine[int(item[1:])].topk(NEIGHBOURS)
        expected = [
            f"i{n} ({x:.4f})" for n, x in zip(place.tolist(), value, strict=True)
        ]
        assert cells == expected


def test_the_same_items_are_shown_by_each_modality_those_with_neighbours_in_all():
    y = X.clone()
    y[0] = 0  # no neighbours there
    file = GraphFile(40, None, {"a": graph(X, 3), "b": graph(y, 2)})
    first, second = example_tables(file)
    assert [row[0] for row in first.rows] == [row[0] for row in second.rows]
    assert first.rows[0][0] == "1"
    assert (first.columns, second.columns) == (
        ["Row", "1", "2", "3"],
        ["Row", "1", "2"],
    )


def test_without_edges_there_is_nothing_to_show():
    empty = graph(torch.zeros(3, 2), 1)
    assert example_tables(GraphFile(3, None, {"a": empty})) == []
    assert example_tables(GraphFile(3, None, {})) == []
