import numpy as np
import pytest
import torch

from mmgraph.functional.recommend.interaction_cosine import interaction_cosine


def random_pairs(num_users, num_items, density, seed):
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(num_users, num_items, generator=generator) < density
    return seen.nonzero().t(), seen.double().numpy()


def slow_neighbours(r, k, shrinkage):
    """A loop over centres: (neighbour, centre, cosine), in the order promised."""
    rows = []
    for i in range(r.shape[1]):
        near = []
        for j in range(r.shape[1]):
            common = float(r[:, i] @ r[:, j])
            if j != i and common:
                norms = np.sqrt(r[:, i].sum() * r[:, j].sum())
                near.append((-common / (norms + shrinkage), j))
        rows += [(j, i, -minus) for minus, j in sorted(near)[:k]]
    return rows


@pytest.mark.parametrize(("k", "shrinkage"), [(3, 0.0), (3, 7.5), (100, 2.0)])
def test_it_is_the_loop_over_all_pairs_of_columns(k, shrinkage):
    edge_index, r = random_pairs(23, 17, 0.2, seed=4)
    edges, cosine = interaction_cosine(edge_index, 23, 17, k, shrinkage=shrinkage)
    expected = slow_neighbours(r, k, shrinkage)
    assert len(expected) == edges.size(1)
    values = torch.tensor([row[2] for row in expected]).float()
    torch.testing.assert_close(cosine, values)
    assert edges[1].tolist() == [row[1] for row in expected]
    norms = np.sqrt(np.outer(r.sum(0), r.sum(0)))
    dense = r.T @ r / np.where(norms > 0, norms + shrinkage, 1)
    neighbour, centre = edges.numpy()  # of tied ones, either may be the loop's
    np.testing.assert_allclose(dense[centre, neighbour], cosine, rtol=1e-6)


def test_blocks_of_centres_change_nothing(monkeypatch):
    edge_index, _ = random_pairs(40, 30, 0.3, seed=1)
    whole = interaction_cosine(edge_index, 40, 30, 5)
    monkeypatch.setattr("mmgraph.functional.graph.co_occurrence.SPARSE_PRODUCTS", 50)
    for one, other in zip(
        whole, interaction_cosine(edge_index, 40, 30, 5), strict=True
    ):
        assert torch.equal(one, other)


def test_an_interaction_that_is_repeated_counts_once():
    edge_index, _ = random_pairs(12, 9, 0.4, seed=2)
    twice = torch.cat([edge_index, edge_index[:, :7]], dim=1)
    for one, other in zip(
        interaction_cosine(edge_index, 12, 9, 3),
        interaction_cosine(twice, 12, 9, 3),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_items_without_a_common_user_are_no_neighbours():
    edges, cosine = interaction_cosine(torch.tensor([[0, 1], [0, 1]]), 2, 3, 5)
    assert edges.shape == (2, 0)
    assert cosine.shape == (0,)


def test_ties_go_to_the_smaller_number():
    edge_index = torch.tensor([[0, 0, 0, 0], [3, 2, 1, 0]])
    edges, _ = interaction_cosine(edge_index, 1, 4, 2)
    assert edges.tolist() == [[1, 2, 0, 2, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3]]
