"""Wide linear maps against float64 products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.wide_linear import wide_linear


def tensors(rows: int = 7, wide: int = 300, out: int = 5) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(rows, wide), torch.randn(out, wide), torch.randn(out)]


@pytest.mark.parametrize("with_bias", [True, False])
def test_values_and_gradients_equal_float64_products(with_bias: bool) -> None:
    inputs = tensors()[: 2 + with_bias]
    grad = torch.randn(7, 5)
    found = [x.clone().requires_grad_() for x in inputs]
    y = wide_linear(*found)
    y.backward(grad)
    exact = [x.double() for x in inputs]
    expected = exact[0] @ exact[1].T + (exact[2] if with_bias else 0)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-4)
    gradients = [grad.double() @ exact[1], grad.double().T @ exact[0]]
    gradients += [grad.double().sum(0)] if with_bias else []
    for x, expected in zip(found, gradients, strict=True):
        torch.testing.assert_close(x.grad.double(), expected, rtol=1e-5, atol=1e-4)


def test_features_without_a_gradient_get_none() -> None:
    x, weight, _ = tensors()
    weight.requires_grad_()
    wide_linear(x, weight).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(weight.grad, x.sum(0).expand(5, -1))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.double(),
        lambda x: x.bfloat16(),
        lambda x: x[:0],
        lambda x: x.unsqueeze(0),
        lambda x: x.to("meta"),
    ],
    ids=["float64", "bfloat16", "no rows", "three dimensions", "meta"],
)
def test_other_input_is_that_of_the_ordinary_layer(change) -> None:
    x, weight, bias = tensors()
    x = change(x)
    weight, bias = weight.to(x.device, x.dtype), bias.to(x.device, x.dtype)
    y, expected = wide_linear(x, weight, bias), F.linear(x, weight, bias)
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    if y.device.type == "cpu":
        assert torch.equal(y, expected)


@pytest.mark.parametrize("rows", ["transposed", "sliced"])
def test_features_need_not_be_contiguous(rows: str) -> None:
    x, weight, _ = tensors()
    x = x.T.contiguous().T if rows == "transposed" else torch.cat([x, x], 1)[:, :300]
    assert not x.is_contiguous()
    torch.testing.assert_close(wide_linear(x, weight), x @ weight.T)


def test_autocast_is_that_of_the_ordinary_layer() -> None:
    x, weight, bias = tensors()
    with torch.autocast("cpu", torch.bfloat16):
        assert wide_linear(x, weight, bias).dtype == torch.bfloat16


def test_wrong_shapes_are_refused_as_by_the_ordinary_layer() -> None:
    with pytest.raises(RuntimeError):
        wide_linear(torch.ones(2, 3), torch.ones(4, 5))


def test_second_derivatives() -> None:
    x, weight = torch.randn(3, 4, requires_grad=True), torch.randn(2, 4)
    weight.requires_grad_()
    (first,) = torch.autograd.grad(
        wide_linear(x, weight).square().sum(), x, create_graph=True
    )
    (second,) = torch.autograd.grad(first.sum(), weight)
    again = x.detach(), weight.detach().clone().requires_grad_()
    expected = 2 * (again[0] @ again[1].T) @ again[1]
    (expected,) = torch.autograd.grad(expected.sum(), again[1])
    torch.testing.assert_close(second, expected)
