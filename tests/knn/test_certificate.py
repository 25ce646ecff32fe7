from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import binomtest

from mmgraph.knn.certificate import certify_recall, recall_lower_bound


@pytest.mark.parametrize(
    ("hits", "trials"), [(0, 1), (1, 1), (0, 9), (1, 9), (9, 9), (1985, 2000)]
)
def test_bound_is_that_of_scipy_and_of_the_binomial_tail(hits, trials):
    bound = recall_lower_bound(hits, trials)
    two_sided = binomtest(hits, trials).proportion_ci(0.98, method="exact")
    assert bound == pytest.approx(two_sided.low, abs=1e-12)
    tail = sum(
        math.comb(trials, n) * bound**n * (1 - bound) ** (trials - n)
        for n in range(hits, trials + 1)
        if hits
    )
    assert tail == pytest.approx(0.01 if hits else 0, rel=1e-6)


def test_one_neighbour_of_each_row_is_tried():
    """Half of the rows have all, half have none: hits are those with all."""
    exact = torch.arange(40).view(10, 4)
    found = exact.clone()
    found[::2] += 1000
    certificate = certify_recall(exact, found.flip(1), torch.Generator())
    assert (certificate.rows, certificate.hits, certificate.estimate) == (10, 5, 0.5)
    assert certificate.lower_99 == recall_lower_bound(5, 10)


def test_the_estimate_counts_all_neighbours_and_caps_the_bound():
    exact = torch.arange(30_000).view(3000, 10)
    found = exact.clone()
    found[0, 0] = -1
    certificate = certify_recall(exact, found, torch.Generator().manual_seed(0))
    assert certificate.estimate == pytest.approx(29_999 / 30_000, abs=1e-12)
    found[:, 0] = -1
    certificate = certify_recall(exact, found, torch.Generator().manual_seed(0))
    assert certificate.estimate == pytest.approx(0.9)
    hits = certificate.hits
    # Binomial(3000, 0.9): mean 2700, standard deviation 16.4.
    assert abs(hits - 2700) < 5 * 16.5
    assert certificate.lower_99 == min(recall_lower_bound(hits, 3000), 0.9)


@pytest.mark.parametrize("kind", ["independent", "whole rows", "worst column"])
def test_the_bound_holds_in_990_of_1000_certificates(kind):
    """Sampled from graphs of known recall, whose misses fall together or apart."""
    generator = torch.Generator().manual_seed(7)
    num_rows, k, trials = 20_000, 5, 2000
    exact = torch.arange(num_rows * k).view(num_rows, k)
    missed = torch.zeros(num_rows, k, dtype=torch.bool)
    if kind == "independent":
        missed = torch.rand(num_rows, k, generator=generator) < 0.01
    elif kind == "whole rows":
        missed[torch.rand(num_rows, generator=generator) < 0.01] = True
    else:
        missed[:, -1] = torch.rand(num_rows, generator=generator) < 0.05
    found = exact.masked_fill(missed, -1)
    recall = 1 - float(missed.double().mean())
    held = 0
    for _ in range(1000):
        row = torch.randint(num_rows, (trials,), generator=generator)
        certificate = certify_recall(exact[row], found[row], generator)
        held += certificate.lower_99 <= recall
    assert held >= 990


def test_the_trials_are_those_of_the_generator():
    exact = torch.arange(4000).view(1000, 4)
    found = exact.clone()
    found[:, :2] = -1
    hits = []
    for global_seed, seed in ((1, 0), (2, 0), (3, 5)):
        torch.manual_seed(global_seed)
        generator = torch.Generator().manual_seed(seed)
        hits.append(certify_recall(exact, found, generator).hits)
    column = torch.randint(4, (1000,), generator=torch.Generator().manual_seed(0))
    assert hits[0] == hits[1] == int((column >= 2).sum()) != hits[2]


def test_bad_samples_are_named():
    none = torch.zeros(0, 3)
    with pytest.raises(ValueError, match=r"at least one \(got \[0, 3\] and \[0, 3\]\)"):
        certify_recall(none, none, torch.Generator())
    with pytest.raises(ValueError, match=r"between 0 and trials \(got 5 of 4\)"):
        recall_lower_bound(5, 4)
