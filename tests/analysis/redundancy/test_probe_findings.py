from __future__ import annotations

import pytest
from scipy import stats

from mmgraph.analysis.redundancy.probe_findings import (
    clear_change,
    noise_level,
    probe_suggestion,
)
from mmgraph.analysis.redundancy.probed_place import ProbedPlace, ProbePoint


def place(name, *changes, error=0.01):
    points = [ProbePoint(0, 0.0, 0.2, 0.0, 0.02)]
    points += [
        ProbePoint(rank, 1.0, 0.2 + change, change, error)
        for rank, change in enumerate(changes, start=1)
    ]
    return ProbedPlace(name, None, points)


def test_the_level_is_bonferronis_over_all_points():
    places = [place("a", 0, 0, 0), place("b", 0, 0)]
    assert noise_level(places) == pytest.approx(stats.norm.ppf(1 - 0.05 / 2 / 5))


@pytest.mark.parametrize(
    ("changes", "rank"),
    [
        ((0.029, -0.029), None),
        ((0.031, 0.05), 2),
        ((-0.04, -0.09), 2),
        ((0.031, -0.09), 1),  # there is a rank that pays
    ],
)
def test_only_what_noise_does_not_explain_is_a_change(changes, rank):
    found = clear_change(place("a", *changes), level=3.0)
    assert (found and found.rank) == rank


def test_a_gain_a_loss_and_nothing_are_told_with_their_error():
    text = probe_suggestion(
        [place("visual", 0.05), place("textual", -0.05), place("acoustic", 0.005)], 500
    )
    assert text == (
        "Projecting pays for visual, 0.2000 to 0.2500 at rank 1 and strength 1 "
        "(+0.0500 ± 0.0100). Projecting costs recall by textual, 0.2000 to 0.1500 at "
        "rank 1 and strength 1 (-0.0500 ± 0.0100). Elsewhere nothing is seen: "
        "differences up to 0.0239 could hide in the noise. Systems that learn may "
        "answer otherwise: let validation decide (docs/findings.md says what some "
        "answered)."
    )


def test_where_nothing_is_seen_it_says_what_could_hide():
    text = probe_suggestion([place("visual", 0.005)], 60)
    assert text == (
        "Projecting changes nothing that 60 users could show: differences up to 0.0196 "
        "could hide in their noise. Systems that learn may answer otherwise: let "
        "validation decide (docs/findings.md says what some answered)."
    )
