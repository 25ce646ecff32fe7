from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.redundancy.modality_summary import summarise_modality
from mmgraph.data import catalogue_features, data_report, load_dataset
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.functional.block_sizes import FEATURE_ROWS


def test_counts_by_hand():
    table = np.array(
        [[1, 2], [0, 0], [1, 2], [3, 0], [3, -0.0], [1, 2], [5, 5]], np.float32
    )
    place = np.array([0, 1, 2, 3, 4, 5, -1])  # the last item has no row
    summary, present = summarise_modality(FeatureRows(table, place))
    assert (summary.dim, summary.rows) == (2, 7)
    assert (summary.missing_rows, summary.zero_rows) == (1, 1)
    assert (summary.duplicate_groups, summary.duplicate_rows) == (2, 3)
    assert summary.largest_duplicate_group == 3
    assert present.tolist() == [True, False, True, True, True, True, False]
    # Mean (9/5, 6/5), mean squared length (5 + 5 + 9 + 9 + 5) / 5.
    assert summary.mean_share == pytest.approx((3.24 + 1.44) / 6.6, rel=1e-12)


def test_counts_are_those_of_the_data_report():
    splits = load_dataset("synthetic")
    expected = data_report(*splits)["modalities"]
    for name, rows in catalogue_features(splits[0]).items():
        summary, _ = summarise_modality(rows)
        for key in ("dim", "missing_rows", "zero_rows", "duplicate_rows"):
            assert getattr(summary, key) == expected[name][key]


def test_equal_rows_meet_across_blocks():
    rng = np.random.default_rng(0)
    table = rng.integers(1, 60, size=(FEATURE_ROWS + 500, 2)).astype(np.float32)
    _, size = np.unique(table, axis=0, return_counts=True)
    summary, _ = summarise_modality(FeatureRows(table))
    assert summary.duplicate_groups == (size > 1).sum()
    assert summary.duplicate_rows == len(table) - len(size)
    assert summary.largest_duplicate_group == size.max()
    mean = table.astype(float).mean(0)
    fraction = mean @ mean / np.square(table.astype(float)).sum(1).mean()
    assert summary.mean_share == pytest.approx(fraction, rel=1e-10)


def test_a_modality_without_rows_is_counted():
    summary, present = summarise_modality(FeatureRows(np.zeros((3, 2), np.float32)))
    assert summary.zero_rows == 3
    assert summary.largest_duplicate_group == 0
    assert summary.mean_share == 0
    assert not present.any()
