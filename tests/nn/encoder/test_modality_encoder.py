from __future__ import annotations

import pytest
import torch

from mmgraph.nn.encoder import ModalityEncoder


def test_is_two_linear_layers_with_a_leaky_relu_between():
    encoder = ModalityEncoder(5, 3, hidden_channels=4).double()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    x = torch.randn(7, 5, dtype=torch.float64)
    w_1, b_1, w_2, b_2 = (p.tolist() for p in encoder.parameters())
    for row, out in zip(x.tolist(), encoder(x).tolist(), strict=True):
        hidden = [
            sum(w * v for w, v in zip(weights, row, strict=True)) + b
            for weights, b in zip(w_1, b_1, strict=True)
        ]
        hidden = [h if h > 0 else 0.01 * h for h in hidden]
        expected = [
            sum(w * h for w, h in zip(weights, hidden, strict=True)) + b
            for weights, b in zip(w_2, b_2, strict=True)
        ]
        assert out == pytest.approx(expected, rel=1e-12)


def test_tail_continues_after_the_first_layer():
    encoder, x = ModalityEncoder(5, 3, 4), torch.randn(7, 5)
    assert torch.equal(encoder.tail(encoder.first(x)), encoder(x))


def test_xavier_draws_normal_weights_and_zero_biases():
    encoder = ModalityEncoder(300, 100, 200)
    for linear, expected in (
        (encoder.first, (2 / 500) ** 0.5),
        (encoder.second, (2 / 300) ** 0.5),
    ):
        # 20 000 draws and more: the standard error of their deviation is 0.5 %.
        assert linear.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert linear.weight.abs().max() > 3 * expected  # a uniform law ends at 1.73
        assert not linear.bias.any()


def test_default_draws_as_pytorch_does():
    torch.manual_seed(1)
    encoder = ModalityEncoder(30, 10, 20, init="default")
    for linear, width in ((encoder.first, 30), (encoder.second, 20)):
        bound = width**-0.5
        assert 0.9 * bound < linear.weight.abs().max().item() <= bound
        assert 0.5 * bound < linear.bias.abs().max().item() <= bound


@pytest.mark.parametrize("init", ["xavier", "default"])
def test_reset_draws_every_weight_anew(init):
    encoder = ModalityEncoder(5, 3, 4, init=init)
    before = {k: p.detach().clone() for k, p in encoder.named_parameters()}
    encoder.reset_parameters()
    for name, parameter in encoder.named_parameters():
        stays = init == "xavier" and name.endswith("bias")
        assert torch.equal(parameter, before[name]) == stays


def test_unknown_init_is_refused():
    with pytest.raises(ValueError, match=r"'init' must be one of .* \(got 'zero'\)"):
        ModalityEncoder(5, 3, init="zero")


def test_repr_shows_the_widths():
    text = "ModalityEncoder(5, 3, hidden_channels=4)"
    assert repr(ModalityEncoder(5, 3, 4)) == text
