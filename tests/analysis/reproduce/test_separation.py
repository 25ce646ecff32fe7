from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import wasserstein_distance

from mmgraph.analysis.reproduce import separation
from mmgraph.analysis.reproduce.separation import (
    club_estimate,
    generic_and_unique,
    set_distances,
    tsne,
)


def test_tsne_is_the_same_for_one_seed_and_keeps_far_sets_apart():
    x = torch.randn(30, 4)
    x[15:] += 50
    first, second = tsne(x, 1), tsne(x, 1)
    assert torch.equal(first, second)
    assert first.shape == (30, 2)
    within = torch.cdist(first[:15], first[:15]).max()
    assert torch.cdist(first[:15], first[15:]).min() > 0.2 * within


def test_distances_in_three_scalings():
    x, y = torch.randn(200, 1).double(), torch.randn(200, 1).double() + 3
    points = (torch.randn(200, 2).double(), torch.randn(200, 2).double())
    found = set_distances(x, y, points)
    # In one dimension there is one direction.
    exact = wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert found["swd_raw"] == pytest.approx(exact)
    # Centred rows of length 1 are signs.
    centre = torch.cat([x, y]).mean()
    signs = ((x - centre).sign() - (y - centre).sign()).mean().abs()
    assert found["swd_unit"] == pytest.approx(float(signs))
    far = set_distances(x, y, (points[0], points[0] + 100))
    assert far["overlap"] == 0.0
    assert far["swd_plane"] == pytest.approx(
        100 * 4 / math.pi / 2 * math.sqrt(2), rel=0.05
    )
    same = set_distances(x, x, (points[0], points[0]))
    assert set(same.values()) == {0.0, 1.0}


def test_scaling_the_features_changes_the_raw_distance_alone():
    x, y = torch.randn(50, 3), torch.randn(50, 3) + 1
    points = (torch.randn(50, 2), torch.randn(50, 2))
    one, ten = set_distances(x, y, points), set_distances(10 * x, 10 * y, points)
    assert ten["swd_raw"] == pytest.approx(10 * one["swd_raw"], rel=1e-5)
    assert ten["swd_unit"] == pytest.approx(one["swd_unit"], rel=1e-4)


def test_generic_and_unique_parts_told_apart_by_hand():
    noise = torch.randn(4, 40, 2) * 0.01
    generic = {m: torch.tensor([1.0, 0.0]) + noise[n] for n, m in enumerate("ab")}
    unique = {m: torch.tensor([0.0, 1.0]) + noise[n + 2] for n, m in enumerate("ab")}
    found = generic_and_unique(generic, unique, seed=0)
    assert found["alignment"] == pytest.approx(1.0, abs=1e-3)
    cosines = [part["cosine"] for part in found["information"].values()]
    assert cosines == pytest.approx([0.0, 0.0], abs=0.02)
    assert found["accuracy"] == 1.0
    # Two sets at each of two places: each point's own and nearest set are one place.
    assert found["silhouette"] == pytest.approx(0.0, abs=0.1)
    aligned = {m: x.roll(1, dims=1) for m, x in generic.items()}
    aligned["b"] = generic["b"]
    other = generic_and_unique(generic, unique, seed=0, aligned=aligned)
    assert other["alignment"] == pytest.approx(0.0, abs=0.02)
    assert other["information"] == found["information"]


def test_the_silhouette_of_a_sample_is_near_that_of_all(monkeypatch):
    noise = torch.randn(4, 300, 3)
    generic = {m: torch.tensor([2.0, 0, 0]) + noise[n] for n, m in enumerate("ab")}
    unique = {m: torch.tensor([0, 2.0, 0]) + noise[n + 2] for n, m in enumerate("ab")}
    whole = generic_and_unique(generic, unique, seed=0)["silhouette"]
    sets = [F.normalize(x, dim=1) for x in (*generic.values(), *unique.values())]
    # By hand, from all pairs.
    points, member = torch.cat(sets).double(), torch.arange(4).repeat_interleave(300)
    to_sets = torch.cdist(points, points).view(1200, 4, 300).sum(dim=2)
    own = member[:, None] == torch.arange(4)
    inside = to_sets[own] / 299
    outside = (to_sets / 300).masked_fill(own, math.inf).amin(dim=1)
    expected = ((outside - inside) / torch.maximum(inside, outside)).mean()
    assert whole == pytest.approx(float(expected), abs=1e-6)
    monkeypatch.setattr(separation, "SILHOUETTE_POINTS", 600)
    sampled = generic_and_unique(generic, unique, seed=0)["silhouette"]
    assert sampled != whole
    assert sampled == pytest.approx(whole, abs=0.03)


def test_one_shared_matrix_serves_all_modalities():
    shared, unique = torch.randn(40, 3), {"a": torch.randn(40, 3)}
    unique["b"] = shared.clone()
    found = generic_and_unique({"shared": shared}, unique, seed=0)
    assert found["alignment"] is None
    assert found["information"]["b"]["gaussian"] is None  # infinite
    assert found["information"]["a"]["gaussian"] < 1


def test_club_finds_what_gaussians_share():
    x = torch.randn(4000, 1)
    y = 0.8 * x + 0.6 * torch.randn(4000, 1)
    # The estimator's variance is 1/e at least, a little above the true 0.36.
    exact = 0.8**2 * math.e
    assert club_estimate(x, y, 0) == pytest.approx(exact, rel=0.1)
    assert club_estimate(x, torch.randn(4000, 1), 0) == pytest.approx(0, abs=0.03)
    state = torch.get_rng_state()
    assert club_estimate(x[:50], y[:50], 3) == club_estimate(x[:50], y[:50], 3)
    assert torch.equal(torch.get_rng_state(), state)
