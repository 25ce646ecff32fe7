import torch

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.recommend.neighbour_scores import neighbour_scores


def test_they_are_the_dense_product():
    generator = torch.Generator().manual_seed(3)
    seen = torch.rand(8, 11, generator=generator) < 0.3
    similar = torch.rand(11, 11, generator=generator)
    similar = similar.where(similar > 0.6, 0.0)
    centre, neighbour = similar.nonzero().t()
    neighbours = Adjacency.from_edge_index(
        torch.stack([neighbour, centre]), similar[centre, neighbour], num_src=11
    )
    history = Adjacency.bipartite(seen.nonzero().t(), 8, 11)
    scores = neighbour_scores(history, neighbours)
    torch.testing.assert_close(scores, seen.float() @ similar.t())
    some = torch.tensor([5, 5, 0])
    torch.testing.assert_close(
        neighbour_scores(history.rows(some), neighbours), scores[some]
    )


def test_a_user_without_history_scores_nothing():
    neighbours = Adjacency.from_edge_index(torch.tensor([[1], [0]]), num_src=2)
    history = Adjacency.bipartite(torch.zeros(2, 0, dtype=torch.long), 3, 2)
    assert neighbour_scores(history, neighbours).tolist() == [[0.0, 0.0]] * 3
