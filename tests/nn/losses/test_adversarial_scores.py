from __future__ import annotations

import pytest
import torch

from mmgraph.functional import Adjacency, relaxed_interactions, unseen_scores
from mmgraph.nn.losses import AdversarialScoreLoss


@pytest.fixture
def seen():
    edges = torch.tensor([[2, 0, 3, 5], [0, 1, 1, 3]])
    return Adjacency.from_edge_index(edges, num_src=6, num_dst=4)


def factors():
    users, items = torch.randn(4, 3), torch.randn(6, 3)
    return users.double().requires_grad_(), items.double().requires_grad_()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_generators_are_judged_by_their_rows(seen, count):
    loss = AdversarialScoreLoss(6, 4).double().eval()
    generators = [factors() for _ in range(count)]
    mine = loss.loss(generators, seen)
    rows = torch.cat([unseen_scores(*pair, seen) for pair in generators])
    expected = loss.generator_loss(rows @ loss.table.detach())
    torch.testing.assert_close(mine, expected, rtol=1e-10, atol=0)
    inputs = [x for pair in generators for x in pair]
    for a, b in zip(
        torch.autograd.grad(mine, inputs, retain_graph=True),
        torch.autograd.grad(expected, inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)
    mine.backward()
    assert all(p.grad is None for p in loss.parameters())


def test_the_critic_is_fitted_to_softened_interactions_once_per_generator(seen):
    options = {"noise_scale": 0.1, "score_weight": 2.0}
    loss = AdversarialScoreLoss(6, 4, **options).double().eval()
    twin = AdversarialScoreLoss(6, 4, **options).double().eval()
    twin.load_state_dict(loss.state_dict())
    generators, final = [factors(), factors()], factors()
    torch.manual_seed(8)
    loss.fit(generators, final, seen)
    torch.manual_seed(8)
    with torch.no_grad():
        real = relaxed_interactions(seen, 0.1, unseen_scores(*final, seen), 2.0)
        fake = torch.cat([unseen_scores(*pair, seen) for pair in generators])
    twin.step(torch.cat([real, real]) @ twin.table, fake @ twin.table)
    for a, b in zip(loss.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)
    assert all(x.grad is None for pair in [*generators, final] for x in pair)


def test_options_of_the_critic_reach_it():
    options = {"slope": 0.2, "dropout": (0.0, 0.1), "penalty_weight": 3.0, "lr": 0.5}
    loss = AdversarialScoreLoss(6, 4, **options)
    assert {name: getattr(loss, name) for name in options} == options


def test_options_out_of_range_are_refused_also_those_of_the_critic():
    with pytest.raises(ValueError, match="'noise_scale' must be above 0"):
        AdversarialScoreLoss(6, 4, noise_scale=0.0)
    with pytest.raises(ValueError, match="AdversarialScoreLoss: 'lr' must be above 0"):
        AdversarialScoreLoss(6, 4, lr=-1.0)


def test_defaults_are_those_of_the_public_code():
    loss = AdversarialScoreLoss(6, 4)
    assert (loss.noise_scale, loss.score_weight) == (0.002, 100)
    assert (loss.penalty_weight, loss.dropout, loss.lr) == (0.3, (0.31, 0.5), 3e-4)
