from __future__ import annotations

import torch

from mmgraph.models.parts.bound_measures import BoundMeasures
from mmgraph.nn.losses import SeparateLearningLoss


def test_an_epoch_has_the_ratio_of_clamped_batches_and_the_mean_bound():
    separate = SeparateLearningLoss({"visual": 4, "textual": 6})
    measures = BoundMeasures(separate)
    measures.keep()  # no loss was made yet
    assert measures.of_epoch() == {}
    for visual, textual in ((-1.0, 2.0), (3.0, 4.0), (0.0, -9.0), (-2.0, 1.0)):
        separate.bounds = {
            "visual": torch.tensor(visual),
            "textual": torch.tensor(textual),
        }
        measures.keep()
    assert measures.of_epoch() == {
        "visual/clamped": 0.5,
        "visual/bound": 0.0,
        "textual/clamped": 0.25,
        "textual/bound": -0.5,
    }
    measures.start_epoch()
    assert measures.of_epoch() == {}


def test_an_evaluation_has_the_own_bound_and_a_refitted_one():
    separate = SeparateLearningLoss({"visual": 4}, mim_proj="none")
    half = torch.randn(200, 2)
    pairs = {"visual": (half, half @ torch.randn(2, 2))}
    found = BoundMeasures(separate).at_evaluation(pairs)
    assert list(found) == ["visual/bound_own", "visual/bound_refitted"]
    assert found["visual/bound_own"] == separate.own_bounds(pairs)["visual"].item()
    assert found["visual/bound_refitted"] > 10 * abs(found["visual/bound_own"])
