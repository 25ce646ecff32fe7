from __future__ import annotations

import math

import pytest
import torch

from mmgraph.nn.fusion import UserModalityWeights


@pytest.mark.parametrize("mode", ["free", "softmax"])
@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_concatenates_each_modality_times_the_users_weight(mode, num_modalities):
    fusion = UserModalityWeights(4, num_modalities, mode).double()
    with torch.no_grad():
        fusion.weight.normal_()
    h = [torch.randn(4, 3, dtype=torch.float64) for _ in range(num_modalities)]
    out = fusion(h).tolist()
    for u in range(4):
        weight = fusion.weight[u].flatten().tolist()
        if mode == "softmax":
            total = sum(map(math.exp, weight))
            weight = [math.exp(w) / total for w in weight]
        expected = [
            w * v for w, x in zip(weight, h, strict=True) for v in x[u].tolist()
        ]
        assert out[u] == pytest.approx(expected, rel=1e-12)


def test_free_weights_start_as_a_softmax_near_equal_shares():
    weight = UserModalityWeights(19445, 2).weight.detach()
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(19445, 1))
    # Xavier-normal, then softmax of two: half of the difference's deviation over two.
    expected = (2 / (19445 + 2)) ** 0.5 * math.sqrt(2) / 4
    assert (weight[:, 0] - 0.5).std().item() == pytest.approx(expected, rel=0.03)
    assert expected == pytest.approx(0.0036, abs=5e-5)


def test_free_weights_may_leave_the_simplex():
    fusion = UserModalityWeights(2, 2)
    with torch.no_grad():
        fusion.weight.fill_(-2.0)
    assert torch.equal(fusion([torch.ones(2, 1)] * 2), torch.full((2, 2), -2.0))


def test_softmax_weights_stay_on_it():
    fusion = UserModalityWeights(2, 2, "softmax")
    with torch.no_grad():
        fusion.weight.fill_(-2.0)
    assert torch.equal(fusion([torch.ones(2, 1)] * 2), torch.full((2, 2), 0.5))


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"'mode' must be one of .* \(got 'fixed'\)"):
        UserModalityWeights(2, 2, "fixed")


def test_repr_shows_sizes_and_mode():
    assert repr(UserModalityWeights(3, 2)) == "UserModalityWeights(3, 2, mode='free')"
