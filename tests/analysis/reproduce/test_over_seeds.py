from __future__ import annotations

import statistics

import pytest

from mmgraph.analysis.reproduce.over_seeds import (
    bars_note,
    mean_text,
    means_over_seeds,
    seeds_note,
)


def test_means_and_sample_deviations_are_those_of_the_statistics_module():
    values = {"A": [0.1, 0.4, 0.4], "B": [0.25]}
    lines = [
        {"spec": spec, "metrics": {"test": {"recall@20": value}}}
        for spec in values
        for value in values[spec]
    ]
    found = means_over_seeds(lines, "recall@20")
    assert found["A"]["mean"] == pytest.approx(statistics.mean(values["A"]))
    assert found["A"]["sd"] == pytest.approx(statistics.stdev(values["A"]))
    assert found["B"] == {"mean": 0.25, "sd": None, "values": [0.25]}


def test_a_mean_stands_beside_its_deviation():
    assert mean_text({"mean": 0.07544, "sd": 0.00126}) == "0.0754 ± 0.0013"
    assert mean_text({"mean": 0.07544, "sd": None}) == "0.0754"
    assert mean_text(None) == ""


def test_notes_say_how_many_seeds_there_are():
    assert "One seed (7)" in seeds_note([7])
    assert "over the seeds 7, 8" in seeds_note([7, 8])
    assert bars_note([7]) == ""
    assert "over 2 seeds" in bars_note([7, 8])
