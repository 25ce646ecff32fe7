from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.reproduce.against_base import (
    COLUMNS,
    comparison_cells,
    comparisons,
)
from mmgraph.analysis.statistics.intervals import Interval


def test_variants_are_compared_user_by_user(make_lab, tmp_path):
    lab = make_lab(tmp_path, seeds=(1, 2))
    specs, _ = lab.able(["VBPR", "VBPR+CLEAR", "MF-BPR"])
    lines = lab.bench(specs)
    (found,) = comparisons(lab, lines).items()
    users = lab.per_user(lines)
    mean = {
        spec: np.mean(
            [users[x["key"]]["recall@20"] for x in lines if x["spec"] == spec], axis=0
        )
        for spec in ("VBPR", "VBPR+CLEAR")
    }
    label, comparison = found
    assert (label, comparison["base"]) == ("VBPR+CLEAR", "VBPR")
    difference = mean["VBPR+CLEAR"] - mean["VBPR"]
    assert comparison["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    low, high = comparison["interval"]
    assert low <= comparison["difference"] <= high
    assert comparisons(lab, []) == {}


def test_cells_have_sign_and_base():
    found = {
        "base": "SEA",
        "difference": -0.00123,
        "interval": Interval(-0.004, 0.0015),
        "num_users": 9,
        "t_p_value": 0.03,
        "wilcoxon_p_value": 0.0001,
    }
    texts = ["-0.0012 (SEA)", "-0.0040 to +0.0015", ".030", "< .001"]
    assert comparison_cells(found) == texts
    assert len(COLUMNS) == len(texts)
