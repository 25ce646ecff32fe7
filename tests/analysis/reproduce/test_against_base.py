from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.leaderboard.render import comparison_cells
from mmgraph.analysis.leaderboard.table import Comparison
from mmgraph.analysis.reproduce.against_base import COLUMNS, NOTE, comparisons, notes
from mmgraph.analysis.statistics.intervals import Interval


def test_variants_are_compared_user_by_user(make_context, tmp_path):
    context = make_context(tmp_path, seeds=(1, 2))
    specs, _ = context.buildable(["VBPR", "VBPR+CLEAR", "MF-BPR"])
    lines = context.bench(specs)
    ((label, comparison),) = comparisons(context, lines).items()
    users = context.per_user(lines)
    mean = {
        spec: np.mean(
            [users[x["key"]]["recall@20"] for x in lines if x["spec"] == spec], axis=0
        )
        for spec in ("VBPR", "VBPR+CLEAR")
    }
    assert (label, comparison.base) == ("VBPR+CLEAR", "VBPR")
    difference = mean["VBPR+CLEAR"] - mean["VBPR"]
    assert comparison.difference == pytest.approx(difference.mean(), abs=1e-12)
    low, high = comparison.interval
    assert low <= comparison.difference <= high
    assert comparisons(context, []) == {}


def test_a_note_names_the_options_in_which_a_variant_differs():
    interval = Interval(-1.0, 1.0)
    same = Comparison("A", 0.1, interval, 9, 0.5, 0.5)
    differing = Comparison("A", 0.1, interval, 9, 0.5, 0.5, {"lr": (0.1, 0.2)})
    assert notes({"A+B": same, "A+C": differing}) == [
        NOTE,
        "A+C differs from A in lr=0.1 (A: 0.2), too.",
    ]


def test_there_is_a_head_for_each_cell():
    assert len(COLUMNS) == len(comparison_cells(None))
