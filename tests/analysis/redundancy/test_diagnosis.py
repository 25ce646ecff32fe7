from __future__ import annotations

import json

import numpy as np
import pytest

from mmgraph.analysis import diagnose
from mmgraph.data import catalogue_features, open_features, plant_catalogue
from mmgraph.data.feature_rows import FeatureRows

MODALITY_KEYS = {"dim", "rows", "missing_rows", "zero_rows", "duplicate_groups"}
PAIR_KEYS = {
    "modalities",
    "singular_values",
    "effective_rank",
    "suggested_rank",
    "suggested_strength",
    "reason",
    "spectral_gap",
    "neighbour_overlap",
    "cka",
    "swd",
    "imbalance_ratio",
}


def features(widths, **options):
    options = {"num_users": 5, "num_items": 200, "shared_rank": 3} | options
    data, _ = plant_catalogue(modalities=widths, **options)
    return catalogue_features(data)


def test_the_keys_of_the_contract_are_there():
    found = diagnose(features({"visual": 12, "textual": 9})).to_dict()
    assert set(found) >= {"modalities", "pairs"}
    for summary in found["modalities"].values():
        assert set(summary) >= MODALITY_KEYS
    (pair,) = found["pairs"]
    assert set(pair) >= PAIR_KEYS
    assert pair["modalities"] == ["visual", "textual"]
    assert len(pair["singular_values"]) == 9
    keys = {"value", "low", "high", "expected"}
    assert set(pair["neighbour_overlap"]["10"]) >= keys
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_pair_is_compared(count):
    widths = dict(zip("abcd"[:count], (20, 24, 31, 22), strict=False))
    steps = []
    found = diagnose(features(widths), on_step=steps.append)
    pairs = [pair.modalities for pair in found.pairs]
    assert pairs == [
        [a, b] for n, a in enumerate(widths) for b in list(widths)[n + 1 :]
    ]
    assert [pair.suggested_rank for pair in found.pairs] == [3] * len(pairs)
    reading = [f"reading {name}" for name in widths]
    assert steps == reading + [f"comparing {a} and {b}" for a, b in pairs]


def test_a_pair_uses_the_items_that_have_both():
    found = diagnose(features({"visual": 12, "textual": 9}, missing=0.1))
    summary = found.modalities["visual"]
    assert (summary.rows, summary.missing_rows) == (200, 20)
    assert found.pairs[0].rows == 160  # other items miss the other modality
    assert found.pairs[0].neighbour_overlap["5"].expected == pytest.approx(5 / 159)


def test_one_modality_has_no_pair():
    found = diagnose(features({"visual": 9}))
    assert found.pairs == []
    assert found.notes == ["There is one modality: no pair to compare."]


def test_modalities_that_hardly_meet_are_not_compared():
    x = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    a = FeatureRows(x, np.where(np.arange(10) < 6, np.arange(10), -1))
    b = FeatureRows(x, np.where(np.arange(10) > 3, np.arange(10), -1))
    found = diagnose({"a": a, "b": b})
    assert found.pairs == []
    expected = "a and b have 2 items in common: too few to compare."
    assert expected in found.notes


def test_zero_rows_and_placeholders_are_told():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype(np.float32)
    x[:30], x[30:45] = 0, x[50]
    y = FeatureRows(rng.normal(size=(100, 2)).astype(np.float32) + 20)
    found = diagnose({"visual": FeatureRows(x), "textual": y})
    assert found.pairs[0].rows == 70
    zero, same, common = found.notes
    assert zero == "30 of 100 rows of visual are zero: taken as missing."
    assert same.startswith("16 items have the same visual row, which looks like a")
    assert common.startswith("100 % of the squared length of textual is one vector")


def test_the_result_depends_on_the_seed_alone(tmp_path):
    given = features({"visual": 12, "textual": 9}, num_items=300, missing=0.0)
    words = {"num_centres": 50, "num_sampled": 100}
    first = diagnose(given, seed=4, **words)
    assert diagnose(given, seed=4, **words) == first
    assert diagnose(given, seed=5, **words) != first
    for name, rows in given.items():
        np.save(tmp_path / f"{name}.npy", rows.values)
    (tmp_path / "interactions.csv").touch()  # never opened
    from_disk = diagnose(open_features(tmp_path), seed=4, **words)
    (pair,), (same,) = first.pairs, from_disk.pairs
    # On disk the usual order: visual first, as given.
    assert same == pair


def test_different_items_are_refused():
    a, b = (FeatureRows(np.ones((n, 2), np.float32)) for n in (3, 4))
    with pytest.raises(ValueError, match=r"same items \(got \{'a': 3, 'b': 4\}\)"):
        diagnose({"a": a, "b": b})
    with pytest.raises(ValueError, match=r"need the same items \(got \{\}\)"):
        diagnose({})


def test_runs_on_the_device(device):
    given = features({"visual": 12, "textual": 9})
    (found,) = diagnose(given, device=device).pairs
    (expected,) = diagnose(given).pairs
    for key in ("suggested_rank", "cka", "swd", "spectral_gap", "imbalance_ratio"):
        assert getattr(found, key) == pytest.approx(getattr(expected, key), rel=1e-8)
    assert found.neighbour_overlap == expected.neighbour_overlap


@pytest.mark.data
def test_tiktok_says_what_its_provenance_says(real_data):
    found = diagnose(open_features(real_data / "tiktok"))
    (pair,) = found.pairs
    overlap = pair.neighbour_overlap["10"]
    # Counted over all items when the data were gathered: .0080 against .0015.
    assert overlap.low < 0.0080 < overlap.high < 0.011
    assert overlap.expected == pytest.approx(10 / 6709, rel=1e-12)
    distinct = {name: m.rows - m.duplicate_rows for name, m in found.modalities.items()}
    assert distinct == {"visual": 6707, "acoustic": 6655}
    # Two acoustic axes hold most of its variance, and of the cross-covariance.
    assert sum(pair.variance_shares["acoustic"][:2]) > 0.9
    assert max(pair.correlations) < 0.3
    assert "acoustic" in pair.notes[0]
