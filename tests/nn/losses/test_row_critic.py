from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.nn.losses import RowCritic

#: Widths whose square is below and above the size of a batch of rows.
WIDTHS = [4, 40]


def make(width=4, columns=11, **options):
    critic = RowCritic(columns, width, **options).double()
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return critic


def rows(count=7, columns=11):
    return torch.rand(count, columns, dtype=torch.float64)


def discriminator(critic, x, masks=(1.0, 1.0)):
    """The formula on whole rows."""

    def gamma(h, norm, mask):
        h = torch.where(h > 0, h, critic.slope * h)
        mean = h.sum(0) / len(h)
        var = ((h - mean) ** 2).sum(0) / len(h)
        return ((h - mean) / (var + 1e-5).sqrt() * norm.weight + norm.bias) * mask

    biased = critic.bias is not None
    h = x @ critic.table + (critic.bias if biased else 0.0)
    h = gamma(h, critic.norm, masks[0]) @ critic.second.weight.T
    h = h + (critic.second.bias if biased else 0.0)
    h = gamma(h, critic.second_norm, masks[1]) @ critic.last.weight.T
    return 100 / (1 + torch.exp(-(h + critic.last.bias)[:, 0]))


def critic_loss(critic, real, fake):
    """What a step of the critic minimises, in its parts."""
    distance = critic.distance(real, fake)
    return distance + critic.penalty_weight * critic.gradient_penalty(real, fake)


def drawn(critic, count):
    """The masks of one forward pass, in the order in which they are drawn."""
    widths = critic.table.size(1), critic.second.out_features
    return [
        F.dropout(torch.ones(count, w, dtype=torch.float64), p)
        for w, p in zip(widths, critic.dropout, strict=True)
    ]


@pytest.mark.parametrize("slope", [0.01, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_loss_and_its_gradients_equal_those_on_whole_rows(width, slope):
    critic, real, fake = make(width, slope=slope), rows(), rows()
    torch.manual_seed(3)
    mine = critic_loss(critic, real @ critic.table, fake @ critic.table)
    torch.manual_seed(3)
    fake_masks, real_masks = drawn(critic, 7), drawn(critic, 7)
    share = torch.rand(7, 1, dtype=torch.float64)
    mixed_masks = drawn(critic, 7)
    mixed = (share * real + (1 - share) * fake).requires_grad_()
    score = discriminator(critic, mixed, mixed_masks).sum()
    (gradient,) = torch.autograd.grad(score, mixed, create_graph=True)
    length = gradient.square().sum(dim=1).sqrt()
    expected = (
        discriminator(critic, fake, fake_masks).mean()
        - discriminator(critic, real, real_masks).mean()
        + 0.3 * ((length - 1) ** 2).mean()
    )
    torch.testing.assert_close(mine, expected, rtol=1e-10, atol=0)
    parameters = dict(critic.named_parameters())
    pairs = zip(
        torch.autograd.grad(mine, parameters.values()),
        torch.autograd.grad(expected, parameters.values()),
        strict=True,
    )
    for name, (a, b) in zip(parameters, pairs, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-8, atol=1e-10, msg=lambda m, name=name: name + m
        )


def test_without_a_slope_there_are_no_biases_in_front_of_the_moments():
    critic = RowCritic(5, 4, slope=1.0)
    names = {name for name, _ in critic.named_parameters()}
    assert not {"bias", "second.bias"} & names
    assert {"bias", "second.bias"} <= dict(RowCritic(5, 4).named_parameters()).keys()


def test_the_generators_loss_trains_the_rows_and_not_the_critic():
    critic, fake = make().eval(), rows().requires_grad_()
    loss = critic.generator_loss(fake @ critic.table.detach())
    expected = -discriminator(critic, fake).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    (mine,) = torch.autograd.grad(loss, fake, retain_graph=True)
    torch.testing.assert_close(mine, *torch.autograd.grad(expected, fake))
    loss.backward()
    assert all(p.grad is None for p in critic.parameters())


def test_a_step_is_the_first_of_adam_and_leaves_no_gradient():
    critic, real, fake = make().eval(), rows(), rows()
    before = [p.detach().clone() for p in critic.parameters()]
    torch.manual_seed(3)
    loss = critic_loss(critic, real @ critic.table, fake @ critic.table)
    grads = torch.autograd.grad(loss, list(critic.parameters()))
    torch.manual_seed(3)
    taken = critic.step(real @ critic.table, fake @ critic.table)
    assert taken == loss
    for old, grad, new in zip(before, grads, critic.parameters(), strict=True):
        # Bias corrections undo the betas in the first step.
        expected = old - 3e-4 * grad / (grad.abs() + 1e-8)
        torch.testing.assert_close(new.detach(), expected, rtol=1e-10, atol=1e-14)
        assert new.grad is None
    assert critic.optimizer.defaults["betas"] == (0.5, 0.9)


def test_a_single_row_has_a_finite_loss_and_gradient():
    critic = make()
    critic_loss(critic, *(rows(1) @ critic.table for _ in range(2))).backward()
    assert all(p.grad.isfinite().all() for p in critic.parameters())


def test_weights_start_kaiming_normal_and_biases_at_zero():
    critic = RowCritic(400, 100)
    for weight, fan_in in ((critic.table, 400), (critic.second.weight, 100)):
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert not critic.bias.any()
    assert not critic.second.bias.any()


@pytest.mark.parametrize(("width", "half"), [(1, 1), (2, 1), (6, 3), (9, 4)])
def test_the_second_layer_has_half_the_width(width, half):
    critic = RowCritic(5, width)
    assert critic.second.weight.shape == (half, width)
    assert critic.last.weight.shape == (1, half)
    assert critic(torch.rand(3, width)).shape == (3,)


def test_repr_shows_the_sizes():
    assert repr(RowCritic(9, 4)) == "RowCritic(9, hidden_channels=4, slope=0.01)"


def test_options_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match=r"RowCritic: 'lr' must be above 0 \(got 0.0\)"
    ):
        RowCritic(9, 4, lr=0.0)
    with pytest.raises(ValueError, match="'penalty_weight' must be at least 0"):
        RowCritic(9, 4, penalty_weight=-1.0)
