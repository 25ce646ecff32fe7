from __future__ import annotations

import pytest
import torch

from mmgraph.nn.losses import NegativeDistanceLoss


def test_is_the_negative_mean_of_squares():
    x, y = torch.randn(2, 9, 5, dtype=torch.float64)
    rows = zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)
    expected = -sum((a - b) ** 2 for a, b in rows) / 45
    assert NegativeDistanceLoss()(x, y).item() == pytest.approx(expected, rel=1e-12)


def test_normalised_distance_is_that_of_cosines():
    x, y = torch.randn(2, 9, 5, dtype=torch.float64)
    cosine = torch.cosine_similarity(x, y)
    expected = -((2 - 2 * cosine) / 5).mean()
    actual = NegativeDistanceLoss(normalize=True)(100 * x, y)
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)
    opposite = NegativeDistanceLoss(normalize=True)(x, -x)
    assert opposite.item() == pytest.approx(-4 / 5, rel=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
def test_an_empty_batch_is_refused(normalize):
    loss, empty = NegativeDistanceLoss(normalize=normalize), torch.zeros(0, 3)
    with pytest.raises(ValueError, match="NegativeDistanceLoss: an empty batch has no"):
        loss(empty, empty)
