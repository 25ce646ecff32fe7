from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.redundancy import pair_moments as module
from mmgraph.analysis.redundancy.pair_moments import pair_moments, subspace_stability
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.functional.block_sizes import FEATURE_ROWS


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(900, 2)) * [2, 1]
    made = []
    for dim in (7, 5):
        x = shared @ rng.normal(size=(2, dim)) + rng.normal(size=(900, dim)) + 4
        made.append(x.astype(np.float32))
    both = rng.random(900) < 0.8
    return *made, both


def test_streamed_is_dense(tables):
    a, b, both = tables
    moments = pair_moments(FeatureRows(a), FeatureRows(b), both)
    dense = np.cov(a[both].T, b[both].T, bias=True, dtype=np.float64)
    found = {
        (0, 7, 7, 12): moments.cov_ab,
        (0, 7, 0, 7): moments.within_a.covariance,
        (7, 12, 7, 12): moments.within_b.covariance,
    }
    for (top, bottom, left, right), cov in found.items():
        expected = dense[top:bottom, left:right]
        np.testing.assert_allclose(cov, expected, rtol=0, atol=1e-10)
    assert moments.num_rows == both.sum()
    assert sum(fold.count for fold in moments.folds) == both.sum()


def test_blocks_of_a_long_table_meet():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(FEATURE_ROWS + 777, 3)).astype(np.float32) + 50
    b = a[:, :2] + rng.normal(size=(len(a), 2)).astype(np.float32)
    moments = pair_moments(FeatureRows(a), FeatureRows(b), np.ones(len(a), bool))
    dense = np.cov(a.T, b.T, bias=True, dtype=np.float64)[:3, 3:]
    np.testing.assert_allclose(moments.cov_ab, dense, rtol=0, atol=1e-10)


def test_wide_pairs_have_fewer_folds(tables, monkeypatch):
    a, b, both = tables
    rows = FeatureRows(a), FeatureRows(b)
    assert len(pair_moments(*rows, both).folds) == 16
    for budget, folds in ((6 * 8 * 35, 6), (8 * 35, 4)):  # bytes of one: 8 * 7 * 5
        monkeypatch.setattr(module, "_FOLD_BYTES", budget)
        moments = pair_moments(*rows, both)
        assert len(moments.folds) == folds
        assert moments.num_rows == both.sum()


def test_stability_is_that_of_halves_computed_anew(tables):
    a, b, both = tables
    rank, seed = 2, 3
    moments = pair_moments(FeatureRows(a), FeatureRows(b), both, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    fold = torch.randint(16, (int(both.sum()),), generator=generator).numpy()
    rng = np.random.default_rng(7)
    angles, cosines = ([], []), ([], [])
    for _ in range(4):
        order = rng.permutation(16)
        bases = []
        for part in (order[:8], order[8:]):
            rows = np.isin(fold, part)
            x, y = (t[both][rows].astype(np.float64) for t in (a, b))
            u, _, wt = np.linalg.svd((x - x.mean(0)).T @ (y - y.mean(0)))
            bases.append((u[:, :rank], wt[:rank].T))
        for n in range(2):
            cos = np.linalg.svd(bases[0][n].T @ bases[1][n], compute_uv=False)
            angles[n].append(np.degrees(np.arccos(cos.min())))
            cosines[n].append((cos**2).mean())
    found = subspace_stability(moments, rank, num_splits=4, seed=7)
    for n, (stability, dim) in enumerate(zip(found, (7, 5), strict=True)):
        assert stability.angle_degrees == pytest.approx(np.mean(angles[n]), rel=1e-6)
        assert stability.affinity == pytest.approx(np.mean(cosines[n]), rel=1e-9)
        assert stability.chance_affinity == rank / dim


def test_no_rank_or_too_few_rows_have_no_stability(tables):
    a, b, both = tables
    moments = pair_moments(FeatureRows(a), FeatureRows(b), both)
    assert subspace_stability(moments, 0) is None
    few = pair_moments(FeatureRows(a[:4]), FeatureRows(b[:4]), both[:4])
    assert subspace_stability(few, 3) is None
