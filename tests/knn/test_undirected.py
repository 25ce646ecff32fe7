from __future__ import annotations

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.undirected import symmetrise


def graph():
    x = torch.randint(-2, 3, (40, 3)).float()  # many equal similarities
    return knn_graph(x, 4, metric="l2")


@pytest.mark.parametrize("how", ["none", "union", "mutual"])
def test_equals_sets_of_pairs(how):
    edge_index, similarity = graph()
    value = dict(
        zip(map(tuple, edge_index.T.tolist()), similarity.tolist(), strict=True)
    )
    pairs = set(value)
    if how == "union":
        pairs |= {(b, a) for a, b in value}
    if how == "mutual":
        pairs = {(a, b) for a, b in value if (b, a) in value}
    known = {**{(b, a): v for (a, b), v in value.items()}, **value}
    want = sorted((centre, -known[j, centre], j) for j, centre in pairs)
    got_index, got_similarity = symmetrise(edge_index, similarity, 40, how)
    assert got_index[1].tolist() == [centre for centre, _, _ in want]
    assert got_index[0].tolist() == [j for _, _, j in want]
    assert got_similarity.tolist() == [-v for _, v, _ in want]


def test_another_word_is_refused():
    with pytest.raises(ValueError, match=r"'symmetrise' must be .* \(got 'both'\)"):
        symmetrise(*graph(), 40, "both")
