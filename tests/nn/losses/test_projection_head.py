from __future__ import annotations

import torch
import torch.nn.functional as F

from mmgraph.nn.losses import ProjectionHead


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_of_the_paper():
    assert count(ProjectionHead(2048)) == 137_632
    assert count(ProjectionHead(192)) == 18_848


def test_is_three_linear_layers_with_standardised_columns_between():
    head = ProjectionHead(6, 5, 4).double()
    x = torch.randn(30, 6, dtype=torch.float64)

    def standard(h):
        variance = h.var(dim=0, correction=0)
        return ((h - h.mean(0)) / (variance + 1e-5).sqrt()).relu()

    h = standard(x @ head.first.weight.T + head.first.bias)
    h = standard(h @ head.rest[2].weight.T + head.rest[2].bias)
    h = h @ head.rest[5].weight.T + head.rest[5].bias
    expected = h / h.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(x), expected, atol=1e-10, rtol=1e-10)


def test_a_linear_encoder_may_be_multiplied_into_the_first_layer():
    # first(encoder(x)) = x (W_f W_e)' + W_f b_e + b_f, in value and gradient.
    head = ProjectionHead(6, 5, 4).double()
    encoder = torch.nn.Linear(9, 6).double()
    x = torch.randn(30, 9, dtype=torch.float64)
    plain = head(encoder(x))
    weight = head.first.weight @ encoder.weight
    bias = head.first.weight @ encoder.bias + head.first.bias
    fused = head.tail(F.linear(x, weight, bias))
    torch.testing.assert_close(fused, plain, atol=1e-10, rtol=1e-10)
    parameters = [*encoder.parameters(), *head.parameters()]
    target = torch.randn(30, 4, dtype=torch.float64)
    expected = torch.autograd.grad((plain * target).sum(), parameters)
    actual = torch.autograd.grad((fused * target).sum(), parameters)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, atol=1e-10, rtol=1e-10)
