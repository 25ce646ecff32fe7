"""MICRO alone; what it shares with LATTICE is in ``test_graph_learner.py``."""

from __future__ import annotations

import pytest

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4, "audio": 3}
OPTIONS = {
    "embedding_dim": 5,
    "k": 4,
    "raw_weight": 0.6,
    "reg_weight": 0.3,
    "contrast_weight": 0.2,
}


def make(data, **options):
    return build_model("MICRO", data, **(OPTIONS | options))


def test_without_weight_there_is_no_contrast(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, contrast_weight=0.0)
    assert list(model.loss(first_epoch(model, data), batch)) == ["bpr", "reg"]


def test_temperature_out_of_range_is_refused(catalogue):
    with pytest.raises(
        ValueError, match=r"'contrast_temperature' must be above 0 \(got 0"
    ):
        make(catalogue(WIDTHS), contrast_temperature=0.0)
