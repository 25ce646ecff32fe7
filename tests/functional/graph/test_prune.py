from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import pytest
import torch
from scipy import stats

from mmgraph.functional.graph.prune import prune_edges

# Degrees 3, 1, 2 of the users; 2, 2, 2 of the items.
EDGES = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 1, 2, 0, 1, 2]])
WEIGHTS = {
    "degree": [6**-0.5, 6**-0.5, 6**-0.5, 2**-0.5, 4**-0.5, 4**-0.5],
    "uniform": [1.0] * 6,
}


def sequential_law(weights, num_kept):
    """Probability of every kept set when edges are drawn one after another."""
    law = dict.fromkeys(combinations(range(len(weights)), num_kept), 0.0)
    for drawn in permutations(range(len(weights)), num_kept):
        probability, left = 1.0, sum(weights)
        for edge in drawn:
            probability *= weights[edge] / left
            left -= weights[edge]
        law[tuple(sorted(drawn))] += probability
    return law


@pytest.mark.parametrize("by", ["degree", "uniform"])
def test_kept_sets_follow_the_sequential_law(by):
    draws = 12_000
    generator = torch.Generator().manual_seed(5)
    seen = Counter(
        tuple(prune_edges(EDGES, 0.5, by=by, generator=generator).tolist())
        for _ in range(draws)
    )
    p_value = {}
    for name, weights in WEIGHTS.items():
        law = sequential_law(weights, 3)
        observed = [seen[kept] for kept in law]
        expected = [draws * probability for probability in law.values()]
        p_value[name] = stats.chisquare(observed, expected).pvalue
    other = "uniform" if by == "degree" else "degree"
    assert p_value[by] > 0.01  # chi-square, 19 degrees of freedom
    assert p_value[other] < 1e-9  # the test can tell the two laws apart


@pytest.mark.parametrize(
    ("edges", "ratio", "kept"), [(40, 0.8, 8), (100, 0.9, 10), (7, 0.5, 3), (9, 0.1, 8)]
)
def test_the_floor_is_that_of_decimals(edges, ratio, kept):
    edge_index = torch.randint(0, 50, (2, edges))
    assert len(prune_edges(edge_index, ratio)) == kept


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_keeps_the_share_in_ascending_order(device, ratio):
    edge_index = torch.randint(0, 50, (2, 1000), device=device)
    kept = prune_edges(edge_index, ratio)
    assert len(kept) == 1000 - round(1000 * ratio)  # these are whole numbers
    assert kept.device.type == device.type
    assert torch.equal(kept, kept.unique())
    if ratio == 0:
        assert torch.equal(kept, torch.arange(1000, device=device))


def test_a_generator_decides_the_draw():
    edge_index = torch.randint(0, 50, (2, 1000))
    first, again, other = (
        prune_edges(edge_index, 0.5, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_edges_at_all():
    assert prune_edges(torch.empty(2, 0, dtype=torch.long), 0.5).tolist() == []


def test_options_are_checked():
    with pytest.raises(ValueError, match=r"'ratio' must be in \[0, 1\] \(got 1.5\)"):
        prune_edges(EDGES, 1.5)
    with pytest.raises(ValueError, match=r"'degree' or 'uniform' \(got 'random'\)"):
        prune_edges(EDGES, 0.5, by="random")
