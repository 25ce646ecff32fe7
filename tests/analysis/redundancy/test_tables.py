from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis import diagnose
from mmgraph.analysis.redundancy.tables import (
    cost_table,
    density_table,
    direction_table,
    fact_table,
    modality_table,
    neighbour_table,
)
from mmgraph.data import catalogue_features, plant_catalogue
from mmgraph.data.feature_rows import FeatureRows


def features_of(widths):
    data, _ = plant_catalogue(
        num_users=5, num_items=200, shared_rank=3, missing=0, modalities=widths
    )
    return catalogue_features(data)


@pytest.fixture(scope="module")
def features():
    return features_of({"visual": 30, "textual": 24})


@pytest.fixture(scope="module")
def diagnosis(features):
    return diagnose(features)


@pytest.fixture(scope="module")
def pair(diagnosis):
    return diagnosis.pairs[0]


def test_a_row_counts_a_modality():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    x[:2], x[2:6] = 0, x[6]  # two zero rows; a group of five
    index = np.where(np.arange(20) < 19, np.arange(20), -1)  # the last is missing
    table = modality_table(diagnose({"visual": FeatureRows(x, index)}))
    (row,) = table.rows
    known = x[2:19].astype(np.float64)
    fraction = np.square(known.mean(0)).sum() / np.square(known).sum(1).mean()
    assert row == ["visual", 3, 20, 1, 2, 1, 4, 5, pytest.approx(fraction, rel=1e-6)]
    assert table.columns[-4:] == (
        "groups of equal rows",
        "rows equal to an earlier one",
        "largest group",
        "fraction of the mean row",
    )


def test_facts_stand_beside_what_they_are_compared_with(pair):
    facts = {name: (value, beside) for name, value, beside in fact_table(pair).rows}
    assert facts["items with both"] == (200, "")
    assert facts["suggested rank"] == (3, "a clear step")
    assert facts["effective rank"] == (pair.effective_rank, "of 24")
    assert facts["largest singular value"][0] == pair.singular_values[0]
    assert facts["linear CKA"] == (pair.cka, f"{pair.cka_by_chance:.4g} by chance")
    after = f"{pair.swd_after:.4g} after the projection"
    assert facts["sliced Wasserstein distance, unit rows"] == (pair.swd, after)
    ratio = (pair.imbalance_ratio, "2 or more by Corollary 3 of CLEAR")
    assert facts["imbalance ratio at unit variance"] == ratio
    for name, found in pair.stability.items():
        angle = (found.angle_degrees, "degrees")
        assert facts[f"largest angle between halves, {name}"] == angle


def test_without_a_rank_the_facts_say_nothing_of_a_step():
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((60, d), np.float32)) for d in (3, 2))
    (unrelated,) = diagnose({"a": a, "b": b}).pairs
    facts = {name: rest for name, *rest in fact_table(unrelated).rows}
    assert facts["relative gap after the rank"] == [None, "nothing is shared"]
    assert facts["suggested rank"] == [0, ""]
    assert not any("halves" in name for name in facts)
    assert cost_table(unrelated).rows == []


def test_one_row_is_a_direction(features, pair):
    table = direction_table(pair)
    assert table.columns[4:] == (
        "visual: fraction of variance",
        "textual: fraction of variance",
    )
    a, b = (rows.values.astype(np.float64) for rows in features.values())
    a, b = a - a.mean(0), b - b.mean(0)
    u, sigma, w_t = np.linalg.svd(a.T @ b / 200)
    assert [row[0] for row in table.rows] == list(range(1, 25))
    np.testing.assert_allclose([row[1] for row in table.rows], sigma, atol=1e-10)
    # The spectrum of the projected features, which comes in order of size.
    left = a - pair.suggested_strength * a @ u[:, :3] @ u[:, :3].T
    right = b - pair.suggested_strength * b @ w_t[:3].T @ w_t[:3]
    found = sorted((row[2] for row in table.rows), reverse=True)
    after = np.linalg.svd(left.T @ right / 200)[1]
    np.testing.assert_allclose(found, after, atol=1e-10)
    third = table.rows[2]
    x, y = a @ u[:, 2], b @ w_t[2]
    assert third[3] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-9)
    assert third[4] == pytest.approx(x.var() / a.var(0).sum(), rel=1e-9)
    assert third[5] == pytest.approx(y.var() / b.var(0).sum(), rel=1e-9)


def test_the_first_directions_are_all_that_have_more_than_a_value(pair):
    whole = direction_table(pair).rows
    assert [None in row for row in whole] == [False] * 20 + [True] * 4
    assert direction_table(pair, 5).rows == whole[:5]
    narrow = diagnose(features_of({"a": 7, "b": 9})).pairs[0]
    assert len(direction_table(narrow, 20).rows) == 7


def test_one_row_is_a_number_of_neighbours(pair):
    table = neighbour_table(pair)
    assert [row[0] for row in table.rows] == [5, 10, 20, 50]
    for row in table.rows:
        found = dict(zip(table.columns, row, strict=True))
        overlap = pair.neighbour_overlap[str(found["neighbours K"])]
        assert found["neighbours in common"] == overlap.value
        assert (found["95 % from"], found["95 % to"]) == (overlap.low, overlap.high)
        assert found["random neighbours"] == overlap.expected
        assert found["random 95 % from"] == overlap.expected_low
        assert found["random 95 % to"] == overlap.expected_high


def test_the_densities_of_each_modality_sum_to_one(pair):
    table = density_table(pair)
    assert table.columns == ("cosine from", "to", "visual: density", "textual: density")
    low, high, *densities = np.array(table.rows).T
    np.testing.assert_array_equal(low[1:], high[:-1])
    for density, name in zip(densities, pair.modalities, strict=True):
        np.testing.assert_array_equal(density, pair.similarities.density[name])
        assert (density * (high - low)).sum() == pytest.approx(1)


def test_one_row_is_a_rank_of_the_projection(pair):
    table = cost_table(pair)
    assert [row[0] for row in table.rows] == [1, 3, 6]
    for row, cost in zip(table.rows, pair.costs, strict=True):
        found = dict(zip(table.columns, row, strict=True))
        assert found["strength"] == pair.suggested_strength
        assert found["shared energy removed"] == cost.shared_energy_removed
        for name in ("visual", "textual"):
            removed, changed = cost.energy_removed, cost.neighbours_changed
            assert found[f"{name}: variance removed"] == removed[name]
            assert found[f"{name}: neighbours changed"] == changed[name]


def test_nothing_outside_the_shared_directions_leaves_the_ratio_empty():
    x = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    (pair,) = diagnose({"a": FeatureRows(x), "b": FeatureRows(2 * x)}).pairs
    name = "imbalance ratio at unit variance"
    (ratio,) = (row for row in fact_table(pair).rows if row[0] == name)
    assert ratio == (name, None, "nothing outside the shared directions")
