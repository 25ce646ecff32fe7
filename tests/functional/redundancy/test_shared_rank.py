from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmgraph.data import plant_catalogue
from mmgraph.functional import (
    chance_level,
    cross_covariance,
    levelling_strength,
    shared_directions,
    shared_rank,
    spectral_gap,
    suppress,
)
from mmgraph.functional.redundancy.shared_rank import deflated_spectrum

SEEDS = range(50)


def plant(seed, sigma, rows=1000, widths=(32, 24), private=5, loud=0.7, noise=0.1):
    """Shared factors with these singular values, private factors and noise."""
    rng = np.random.default_rng(seed)
    rank = len(sigma)
    draw = rng.normal(size=(rows, rank + 2 * private))
    factors = np.linalg.qr(draw - draw.mean(0))[0] * math.sqrt(rows)
    shared, *own = np.split(factors, [rank, rank + private], axis=1)
    tables = []
    for width, part in zip(widths, own, strict=True):
        basis = np.linalg.qr(rng.normal(size=(width, rank + private)))[0]
        x = (shared * np.sqrt(sigma)) @ basis[:, :rank].T
        x += loud * part @ basis[:, rank:].T + noise * rng.normal(size=x.shape)
        tables.append(torch.from_numpy(x + rng.normal(size=width)))
    return tables


def suggest(x_a, x_b, mask=None):
    pairs = (x_a, x_b), (x_a, x_a), (x_b, x_b)
    covariances = [cross_covariance(a.double(), b.double(), mask) for a, b in pairs]
    rows = len(x_a) if mask is None else int(mask.sum())
    return covariances[0], shared_rank(*covariances, rows)


PLANTED = {
    "one": [1.0],
    "flat": [1.0] * 8,
    "stairs down to a gap of 0.1": [1.0, 0.8, 0.6, 0.4, 0.2, 0.13],
    "halving": [1.0, 0.5, 0.25, 0.15],
    "many": list(np.linspace(1, 0.6, 16)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_finds_the_planted_rank(name):
    sigma = PLANTED[name]
    found = []
    for seed in SEEDS:
        cov, suggestion = suggest(*plant(seed, sigma))
        values = torch.linalg.svdvals(cov)
        assert spectral_gap(values, len(sigma)) >= 0.1  # of what was planted
        found.append((suggestion.rank, suggestion.is_clear))
    assert found == [(len(sigma), True)] * len(SEEDS)


def test_misses_a_faint_direction_between_loud_private_parts():
    for seed in range(5):
        cov, suggestion = suggest(*plant(seed, [1.0, 0.6, 0.3], rows=2000, loud=1.5))
        assert suggestion[:2] == (2, True)
        # As planted, and yet below the level: chance alone would put as much there.
        third = float(torch.linalg.svdvals(cov)[2])
        assert third == pytest.approx(0.3, rel=0.01)
        assert suggestion.chance == pytest.approx(0.33, abs=0.005)


@pytest.mark.parametrize("rank", [1, 4, 9])
def test_finds_the_rank_of_the_planted_catalogue(rank):
    found = []
    for seed in SEEDS:
        data, _ = plant_catalogue(
            seed=seed, num_users=5, num_items=200, shared_rank=rank
        )
        item = data["item"]
        mask = item.mask_visual & item.mask_textual
        found.append(suggest(item.x_visual, item.x_textual, mask)[1].rank)
    assert found == [rank] * len(SEEDS)


def test_unrelated_tables_share_nothing():
    found = [
        suggest(*plant(seed, [], rows=300, widths=(12, 9), private=4))[1].rank
        for seed in SEEDS
    ]
    # Four standard deviations: about one false alarm in 3,000.
    assert found == [0] * len(SEEDS)


def test_matching_the_rows_at_random_leaves_nothing():
    for seed in range(10):
        x_a, x_b = plant(seed, [1.0, 0.6])
        order = torch.randperm(len(x_b))
        assert suggest(x_a, x_b[order])[1].rank == 0


def test_a_smooth_tail_is_not_called_clear():
    eye = torch.eye(100, dtype=torch.float64)
    sigma = 0.97 ** torch.arange(100, dtype=torch.float64)
    sigma[60:] -= 0.02  # the largest gap is after the sixtieth
    suggestion = shared_rank(torch.diag(sigma), eye, eye, num_rows=10**9)
    assert suggestion[:2] == (1, False)  # 0.03 is larger than 0.005 + 0.02
    sigma[60:] -= 0.02
    suggestion = shared_rank(torch.diag(sigma), eye, eye, num_rows=10**9)
    assert suggestion[:2] == (60, False)


def test_the_last_clear_step_counts_not_the_largest():
    eye = torch.eye(8, dtype=torch.float64)
    cov_ab = torch.diag(torch.tensor([1, 0.5, 0.4, 0.3, 0.02, 0, 0, 0]).double())
    assert shared_rank(cov_ab, eye, eye, num_rows=10**6).rank == 4


def test_chance_level_is_that_of_permuted_rows():
    x_a, x_b = plant(7, [1.0, 0.5], rows=300)
    spectra = [torch.linalg.eigvalsh(cross_covariance(x, x)) for x in (x_a, x_b)]
    tops = []
    for _ in range(200):
        cov = cross_covariance(x_a, x_b[torch.randperm(300)])
        tops.append(float(torch.linalg.matrix_norm(cov, 2)))
    expected = np.mean(tops) + 4 * np.std(tops, ddof=1)
    # 32 draws know a standard deviation to 12 %.
    assert chance_level(*spectra, 300) == pytest.approx(expected, rel=0.12)


def test_chance_level_of_one_dimension_is_that_of_a_gaussian():
    draws = np.abs(np.random.default_rng(5).standard_normal(32))
    expected = (draws.mean() + 4 * draws.std(ddof=1)) * 6 / 10
    one = chance_level(torch.tensor([9.0]), torch.tensor([4.0]), 100, seed=5)
    assert one == pytest.approx(expected, rel=1e-12)
    assert chance_level(torch.zeros(3), torch.ones(2), 100) == 0


@pytest.mark.parametrize(("wide", "narrow"), [(3, 3), (5, 2), (2, 5)])
def test_chance_level_is_that_of_whole_decompositions(wide, narrow):
    a, b = (torch.rand(n).sort(descending=True).values for n in (wide, narrow))
    rng = np.random.default_rng(0)
    tall, flat = (a, b) if wide >= narrow else (b, a)
    tops = [
        np.linalg.norm(
            np.diag(tall.double().sqrt().numpy())
            @ rng.standard_normal((len(tall), len(flat)))
            @ np.diag(flat.double().sqrt().numpy()),
            ord=2,
        )
        for _ in range(32)
    ]
    expected = (np.mean(tops) + 4 * np.std(tops, ddof=1)) / math.sqrt(2)
    assert chance_level(a, b, num_rows=2) == pytest.approx(expected, rel=1e-9)


def test_deflation_is_projection():
    x, _ = plant(3, [1.0, 0.5])
    basis = torch.linalg.qr(torch.randn(32, 4, dtype=torch.float64)).Q
    projected = suppress(x, basis, 1.0)
    cov = cross_covariance(projected, projected)
    expected = torch.linalg.eigvalsh(cov).flip(0)
    actual = deflated_spectrum(cross_covariance(x, x), basis)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_levelling_strength_levels():
    x_a, x_b = plant(0, [1.0, 0.6, 0.2], noise=0.3)
    _, sigma, _ = shared_directions(x_a, x_b, 2)
    strength = levelling_strength(sigma, 2)
    u, _, w = shared_directions(x_a, x_b, 2)
    after = cross_covariance(suppress(x_a, u, strength), suppress(x_b, w, strength))
    values = torch.linalg.svdvals(after)
    # The loudest is now the third, and the first lies beside it.
    torch.testing.assert_close(values[:2], sigma[[2, 2]], rtol=1e-10, atol=0)
    assert levelling_strength(sigma, 0) == 0
    assert levelling_strength(sigma[:2], 2) == 1
    floored = levelling_strength(sigma[:2], 2, floor=float(sigma[0]) / 9)
    assert floored == pytest.approx(2 / 3, rel=1e-12)


def test_a_zero_cross_covariance_has_no_rank():
    eye = torch.eye(3, dtype=torch.float64)
    assert shared_rank(torch.zeros(3, 3), eye, eye, 10) == (0, False, 0.0)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'num_rows' must be at least 2 \(got 1\)"):
        chance_level(torch.ones(1), torch.ones(1), 1)


@pytest.mark.parametrize(
    ("sigma", "rank", "floor", "strength"),
    [
        ([4, 1], 1, 0, 1 / 2),
        ([1, 0.25], 1, 0, 1 / 2),
        ([4, 0], 1, 0, 1),
        ([4, 0, 0], 2, 1, 1 / 2),
        ([4, 4, 1], 1, 0, 0),
        ([4, 1], 0, 0, 0),
        ([0, 0], 1, 0, 0),
        ([4, 1], 1, 9, 0),  # chance puts more than the first there
    ],
)
def test_levelling_by_hand(sigma, rank, floor, strength):
    found = levelling_strength(torch.tensor(sigma).float(), rank, floor=floor)
    assert found == pytest.approx(strength, rel=1e-6)
    assert isinstance(found, float)


def test_one_dimension_may_be_shared_and_none_may_be_there():
    one = torch.ones(1, 1, dtype=torch.float64)
    assert shared_rank(0.9 * one, one, one, num_rows=1000)[:2] == (1, True)
    eye = torch.eye(3, dtype=torch.float64)
    alone = torch.diag(torch.tensor([0.9, 0.0, 0.0]).double())
    assert shared_rank(alone, eye, eye, num_rows=1000)[:2] == (1, True)
    assert shared_rank(eye[:0], eye[:0, :0], eye, num_rows=1000) == (0, False, 0.0)


def test_the_seed_is_that_of_the_chance_level():
    eye = torch.eye(4, dtype=torch.float64)
    cov_ab = torch.diag(torch.tensor([0.9, 0.8, 0.0, 0.0]).double())
    left = torch.tensor([1.0, 1.0, 0.0, 0.0])
    for seed in (0, 1, 7):
        chance = shared_rank(cov_ab, eye, eye, num_rows=1000, seed=seed).chance
        expected = chance_level(left, left, 1000, seed=seed)
        assert chance == pytest.approx(expected, rel=1e-9)


def rank_of(sigma, num_rows=10**9, scale=1.0):
    """Of a cross-covariance with these singular values between white modalities."""
    eye = scale * torch.eye(len(sigma), dtype=torch.float64)
    cov_ab = scale * torch.diag(torch.tensor(sigma, dtype=torch.float64))
    return shared_rank(cov_ab, eye, eye, num_rows)


def falling(first, step, count, *head):
    return [*head, *(max(first - step * n, 0.0) for n in range(count))]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_step_is_clear_by_its_part_of_the_first_value(scale):
    # A twentieth of the first value, and smaller steps behind it.
    assert rank_of(falling(19, 0.9, 23, 20.0), scale=scale)[:2] == (1, True)
    # A seventh of the second, but not a twentieth of the first.
    assert rank_of(falling(0.2, 0.03, 8, 1.0), scale=scale)[:2] == (1, True)


def test_without_a_clear_step_the_largest_above_chance_is_taken():
    """Chance reaches c in 30 dimensions, and falls as directions are taken out."""
    eye = torch.ones(30)
    c = chance_level(eye, eye, 1000)
    assert chance_level(eye[1:], eye[1:], 1000) < 0.99 * c

    def found(values):
        return rank_of([c * v for v in values], num_rows=1000)

    # Only the first is above chance, and the step behind it is the largest.
    first = found(falling(0.98, 0.03, 29, 1.02))
    assert first[:2] == (1, False)
    left = torch.cat([eye[1:], torch.zeros(1)])
    assert first.chance == pytest.approx(chance_level(left, left, 1000), rel=1e-9)
    # The largest step comes later, below chance.
    later = [*falling(0.975, 0.04, 10, 1.02), *falling(0.565, 0.02, 19)]
    assert found(later)[:2] == (1, False)
    # Chance explains the first: what stands out of it further on is not looked for.
    below = found([*falling(0.99, 0.01, 9), *falling(0.865, 0.045, 20), 0.0])
    assert below[:2] == (0, False)
    assert below.chance == pytest.approx(c, rel=1e-9)
