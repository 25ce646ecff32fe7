from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from mmgraph.analysis.reproduce.experiments import theorems
from mmgraph.analysis.reproduce.experiments.theorems import sea_theorems


@pytest.fixture(scope="module")
def result(make_context, tmp_path_factory):
    return sea_theorems(
        make_context(tmp_path_factory.mktemp("t"), grid={"dim": [3, 64]})
    )


def test_the_variance_of_the_angle_is_the_integral_of_its_density(result):
    for entry in result.numbers["theorem_1"]:
        n = entry["dim"]
        scale = math.gamma(n / 2) / math.sqrt(math.pi) / math.gamma((n - 1) / 2)
        value, _ = quad(
            lambda t, n=n: (t - math.pi / 2) ** 2 * math.sin(t) ** (n - 2), 0, math.pi
        )
        assert entry["exact_variance"] == pytest.approx(scale * value)
        # The sample's variance has a standard error of about sqrt(2/N) of itself.
        error = 5 * math.sqrt(2 / theorems.SAMPLES) * entry["exact_variance"]
        assert entry["variance"] == pytest.approx(entry["exact_variance"], abs=error)
        spread = math.sqrt(entry["exact_variance"] / theorems.SAMPLES)
        assert entry["mean"] == pytest.approx(math.pi / 2, abs=5 * spread)
        assert entry["ks_p_value"] > 1e-3


def test_a_wrong_density_would_be_seen():
    theta = theorems._angles(16, np.random.default_rng(0))
    assert theorems._theorem_1(17, theta)["ks_p_value"] < 1e-6


def test_the_bound_is_what_gaussians_give_and_above_the_information(result):
    by_r = {entry["correlation"]: entry for entry in result.numbers["theorem_2"]}
    # r = .1, .5, .9 by hand.
    for r, bound, information in (
        *((0.1, 0.010101, 0.005025), (0.5, 0.333333, 0.143841)),
        (0.9, 4.263158, 0.830366),
    ):
        assert by_r[r]["bound"] == pytest.approx(bound, abs=1e-6)
        assert by_r[r]["information"] == pytest.approx(information, abs=1e-6)
    for entry in by_r.values():
        error = 5 * entry["standard_error"] + 1e-12
        assert entry["bound_estimate"] == pytest.approx(entry["bound"], abs=error)
        assert entry["bound"] >= entry["information"]


@pytest.mark.parametrize(
    ("dims", "drawn"),
    [([4, 5], [4, 5]), ([3, 8, 16, 64], [3, 16, 64]), ([4, 5, 6, 7], [4, 6, 7])],
)
def test_some_dimensions_are_drawn_whatever_the_grid(
    make_context, tmp_path, monkeypatch, dims, drawn
):
    monkeypatch.setattr(theorems, "SAMPLES", 100)
    result = sea_theorems(make_context(tmp_path, grid={"dim": dims}))
    rows = result.figures[0].data.rows
    assert list(dict.fromkeys(row[0] for row in rows)) == drawn


def test_the_tables_show_the_numbers(result):
    first, second = result.tables
    row = first.rows[1]
    assert row[0] == 64
    assert row[4:7] == [1 / 63, 1 / 62, 1 / 64]
    assert len(second.rows) == len(theorems.CORRELATIONS)
