from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from mmgraph.errors import UserError
from mmgraph.functional.recommend.negative_sampling import NegativeSampler, is_in_sorted


def random_edges(num_users=20, num_items=15, num_edges=120):
    pairs = torch.randperm(num_users * num_items)[:num_edges]
    return torch.stack([pairs // num_items, pairs % num_items])


def test_no_negative_is_a_training_item(device):
    edge_index = random_edges().to(device)
    sampler = NegativeSampler(edge_index, num_items=15)
    user = edge_index[0].repeat(20)
    negative = sampler.sample(user, torch.Generator(device).manual_seed(0))
    positives = set(zip(*edge_index.tolist(), strict=True))
    drawn = set(zip(user.tolist(), negative.tolist(), strict=True))
    assert not positives & drawn


def test_draws_are_uniform_over_the_rest():
    edge_index = torch.tensor([[0, 0, 1, 1, 1, 2], [0, 1, 2, 3, 4, 5]])
    sampler = NegativeSampler(edge_index, num_items=6)
    generator = torch.Generator().manual_seed(3)
    draws = sampler.sample(torch.zeros(20_000, dtype=torch.long), generator)
    counts = torch.bincount(draws, minlength=6)
    assert counts[:2].sum() == 0
    assert chisquare(counts[2:].numpy()).pvalue > 0.001


def test_items_never_seen_in_training_are_never_drawn():
    edge_index = torch.tensor([[0, 1], [0, 4]])
    sampler = NegativeSampler(edge_index, num_items=9)
    draws = sampler.sample(torch.zeros(100, dtype=torch.long))
    assert set(draws.tolist()) == {4}


def test_same_seed_same_draws():
    sampler = NegativeSampler(random_edges(), num_items=15)
    user = torch.arange(20)
    a = sampler.sample(user, torch.Generator().manual_seed(1))
    b = sampler.sample(user, torch.Generator().manual_seed(1))
    c = sampler.sample(user, torch.Generator().manual_seed(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_membership_equals_a_python_set():
    edge_index = random_edges()
    sampler = NegativeSampler(edge_index, num_items=15)
    known = set(zip(*edge_index.tolist(), strict=True))
    user, item = torch.cartesian_prod(torch.arange(20), torch.arange(15)).T
    expected = [
        pair in known for pair in zip(user.tolist(), item.tolist(), strict=True)
    ]
    assert sampler.is_positive(user, item).tolist() == expected


def test_a_user_with_every_item_is_named():
    edge_index = torch.tensor([[0, 1, 1], [0, 0, 1]])
    with pytest.raises(UserError, match=r"user 1 has .* 2 .* - leave .* add items$"):
        NegativeSampler(edge_index, num_items=2)
    with pytest.raises(UserError, match="user 'bob' has interacted with all 2"):
        NegativeSampler(edge_index, 2, user_ids=np.array(["ann", "bob"]))


def test_no_interaction_is_refused():
    with pytest.raises(UserError, match=r"^no .* interaction - give at least one$"):
        NegativeSampler(torch.empty(2, 0).long(), num_items=2)


def test_membership_in_a_sorted_list_is_that_of_a_set():
    generator = torch.Generator().manual_seed(0)
    members = torch.randint(50, (20,), generator=generator).unique()
    values = torch.randint(-5, 60, (7, 30), generator=generator)
    expected = [[v in set(members.tolist()) for v in row] for row in values.tolist()]
    assert is_in_sorted(values, members).tolist() == expected
