from __future__ import annotations

import pytest
import torch

from mmgraph.functional.attention_fusion import attention_fusion


def by_autograd(views, weight, bias, query):
    h = torch.stack(views)
    beta = ((h @ weight.T + bias).tanh() @ query).softmax(dim=0)
    return (beta.unsqueeze(-1) * h).sum(dim=0)


@pytest.mark.parametrize("num_views", [1, 2, 3])
def test_value_and_gradients_are_those_of_the_formula(num_views):
    def draw(*size):
        return torch.randn(*size, dtype=torch.float64, requires_grad=True)

    views = [draw(7, 4) for _ in range(num_views)]
    layers = [draw(5, 4), draw(5), draw(5)]
    weight = torch.randn(7, 4, dtype=torch.float64)
    results = []
    for fuse in (attention_fusion, by_autograd):
        fused = fuse(views, *layers)
        grads = torch.autograd.grad((fused * weight).sum(), [*views, *layers])
        results.append((fused, grads))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


def test_there_is_no_second_derivative():
    x, w, one = torch.randn(3, 2, 2).requires_grad_().unbind()
    fused = attention_fusion([x, w], w, one[0], one[1])
    (grad,) = torch.autograd.grad(fused.square().sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
