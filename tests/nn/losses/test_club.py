from __future__ import annotations

import math

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional import club_bound, club_bound_sampled
from mmgraph.nn.losses import CLUBLoss


def halves(rows=64, width=6):
    x, y = torch.randn(2, rows, width, dtype=torch.float64)
    return x.requires_grad_(), y.requires_grad_()


def dense(net, x):
    (w1, b1), (w2, b2) = ((m.weight, m.bias) for m in (net[0], net[2]))
    return (x @ w1.T + b1).clamp(min=0) @ w2.T + b2


def moments(club, x):
    mean = dense(club.conditional.mean, x)
    return mean, dense(club.conditional.log_var, x).tanh()


def test_default_network_has_1104_parameters():
    assert sum(p.numel() for p in CLUBLoss(32, 32).parameters()) == 1104


def test_bound_and_likelihood_use_the_two_small_networks():
    club = CLUBLoss(6, 5, clamp=False).double()
    x, _ = halves()
    y = torch.randn(64, 5, dtype=torch.float64)
    mean, log_var = moments(club, x)
    expected = club_bound(mean, log_var, y)
    torch.testing.assert_close(club.bound(x, y), expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(club(x, y), expected, atol=1e-10, rtol=1e-10)
    normal = torch.distributions.Normal(mean, (log_var / 2).exp())
    nll = -normal.log_prob(y).sum(1).mean() - 5 * math.log(2 * math.pi) / 2
    actual = club.estimator_loss(x, y)
    torch.testing.assert_close(actual, nll, atol=1e-10, rtol=1e-10)


def test_sampled_estimator_draws_one_permutation():
    club = CLUBLoss(6, 6, estimator="sample", clamp=False).double()
    x, y = halves()
    torch.manual_seed(5)
    actual = club.bound(x, y)
    torch.manual_seed(5)
    expected = club_bound_sampled(*moments(club, x), y, torch.randperm(64))
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


def test_bound_has_gradients_for_the_inputs_only():
    club = CLUBLoss(6, 6, clamp=False).double()
    x, y = halves()
    club.bound(x, y).backward()
    assert all(p.grad is None for p in club.parameters())
    reference = club_bound(*moments(club, x), y)
    expected = torch.autograd.grad(reference, (x, y))
    torch.testing.assert_close((x.grad, y.grad), expected, atol=1e-10, rtol=1e-10)


def test_estimator_loss_has_gradients_for_the_estimator_only():
    club = CLUBLoss(6, 6).double()
    x, y = halves()
    club.estimator_loss(x, y).backward()
    assert x.grad is None
    assert y.grad is None
    assert all(p.grad is not None for p in club.parameters())


def test_clamp_cuts_a_negative_bound_and_its_gradient():
    club = CLUBLoss(6, 6, clamp=False).double()
    x, y = halves()
    y = -10 * club.conditional.mean(x).detach()  # fitted to the contrary
    assert club.bound(x, y) < 0
    club.clamp = True
    bound = club.bound(x, y)
    (grad,) = torch.autograd.grad(bound, x)
    assert bound == 0
    assert not grad.any()


def fit(club, x, y, steps=400):
    optimizer = torch.optim.Adam(club.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        club.estimator_loss(x, y).backward()
        optimizer.step()


def test_fitting_the_right_pairs_gives_the_larger_bound():
    # Guards against an estimator that is fitted to other pairs than it judges.
    x = torch.randn(300, 4)
    y = x @ torch.randn(4, 4)
    right, wrong = CLUBLoss(4, 4), CLUBLoss(4, 4)
    wrong.load_state_dict(right.state_dict())
    fit(right, x, y)
    fit(wrong, x, torch.randn(300, 4))
    assert right.bound(x, y) > 10 * wrong.bound(x, y)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'estimator' must be .* \(got 'exact'\)"):
        CLUBLoss(4, 4, estimator="exact")


def test_repr_shows_estimator_and_clamp():
    assert "estimator='closed', clamp=True" in repr(CLUBLoss(4, 4))


@pytest.mark.parametrize("estimator", ["closed", "sample"])
def test_an_empty_batch_has_no_bound_and_a_single_row_none_to_compare(estimator):
    club = CLUBLoss(3, 2, estimator=estimator).double()
    x, y = torch.zeros(0, 3).double(), torch.zeros(0, 2).double()
    for method in (club, club.bound, club.estimator_loss):
        with pytest.raises(UserError, match="CLUBLoss: an empty batch has no mean"):
            method(x, y)
    x, y = (torch.randn(1, d, dtype=torch.float64, requires_grad=True) for d in (3, 2))
    bound = club.bound(x, y)
    bound.backward()
    assert bound == 0
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


def test_a_bound_of_an_estimator_that_was_never_fitted_is_said_once(caplog):
    x, y = halves()
    club = CLUBLoss(6, 6).double()
    fitted, loaded = CLUBLoss(6, 6).double(), CLUBLoss(6, 6).double()
    fitted.estimator_loss(x, y)
    loaded.load_state_dict(fitted.state_dict())
    for quiet in (fitted, loaded):
        quiet.bound(x, y)
    assert caplog.text == ""
    club.bound(x, y)
    club.bound(x, y)
    assert [record.getMessage() for record in caplog.records] == [
        "CLUBLoss: the estimator was never fitted, so that its bound bounds nothing: "
        "minimise estimator_loss first (club_inner_steps above 0)"
    ]


def test_the_bound_is_differentiated_at_the_estimator_that_it_was_taken_with():
    club = CLUBLoss(6, 6, clamp=False).double()
    x, y = halves()
    expected = torch.autograd.grad(club.bound(x, y), (x, y))
    bound = club.bound(x, y)
    fit(club, x, y, steps=2)
    actual = torch.autograd.grad(bound, (x, y))
    assert all(map(torch.equal, actual, expected))


def test_fitting_the_output_layers_leaves_the_hidden_ones():
    club = CLUBLoss(4, 4)
    x = torch.randn(300, 4)
    y = x @ torch.randn(4, 4)
    names = {id(p): name for name, p in club.conditional.named_parameters()}
    hidden = {"mean.0.weight", "mean.0.bias", "log_var.0.weight", "log_var.0.bias"}
    assert {names[id(p)] for p in club.hidden_parameters()} == hidden
    before = {k: p.detach().clone() for k, p in club.conditional.named_parameters()}
    losses = [club.estimator_loss(x, y).item()]
    for _ in range(5):
        club.fit_heads(x, y)
        losses.append(club.estimator_loss(x, y).item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.5
    for name, p in club.conditional.named_parameters():
        assert torch.equal(p, before[name]) == (name in hidden)
