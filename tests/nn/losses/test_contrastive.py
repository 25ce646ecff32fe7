from __future__ import annotations

import pytest
import torch

from mmgraph.functional import info_nce, solosim
from mmgraph.nn.losses import InfoNCELoss, SoloSimLoss


def test_modules_are_the_functions_with_their_options():
    x, y = torch.randn(2, 20, 4)
    options = {"block_size": 7, "normalize": False}
    assert SoloSimLoss(0.3, **options)(x, y) == solosim(x, y, 0.3, **options)
    assert SoloSimLoss(0.3)(x, y) == solosim(x, y, 0.3)
    assert InfoNCELoss(0.3, **options)(x, y) == info_nce(x, y, 0.3, **options)
    one = InfoNCELoss(0.3, symmetric=False)(x, y)
    assert one == info_nce(x, y, 0.3, symmetric=False)


def test_repr_shows_the_temperature():
    assert repr(SoloSimLoss(0.3)) == "SoloSimLoss(temperature=0.3)"
    assert repr(InfoNCELoss(0.3)) == "InfoNCELoss(temperature=0.3, symmetric=True)"


@pytest.mark.parametrize("loss", [SoloSimLoss, InfoNCELoss])
def test_options_are_refused_by_name(loss):
    name = loss.__name__
    with pytest.raises(ValueError, match=rf"{name}: 'temperature' must be above 0 \(g"):
        loss(0.0)
    with pytest.raises(ValueError, match=r"must be a number above 0 \(got nan\)"):
        loss(float("nan"))
    with pytest.raises(ValueError, match=rf"{name}: 'block_size' must be at least 1"):
        loss(0.2, block_size=0)
