from __future__ import annotations

from dataclasses import replace

from mmgraph.analysis.redundancy.findings import modality_notes, pair_notes, reason
from mmgraph.analysis.redundancy.modality_summary import ModalitySummary
from mmgraph.functional import SharedRank

CLEAN = ModalitySummary(4, 1000, 0, 0, 0, 0, 0, 0.1)


def test_a_clear_rank_names_its_gap_and_its_level():
    text = reason([4, 3, 1, 0.1], SharedRank(2, True, 0.2), 0.5, 0.5)
    assert text.startswith("The first 2 shared directions are above chance, and the ")
    assert "the fall after them, 50 % of the largest singular value" in text
    assert "Strength 0.50 brings the largest down to the level of the next." in text
    below = reason([4, 3, 0.1], SharedRank(2, True, 0.2), 0.78, 0.7)
    assert "Strength 0.78 brings the largest down to the level of chance." in below


def test_an_unclear_rank_is_called_a_convention():
    text = reason([4, 3.9, 3.8], SharedRank(1, False, 0.2), 0.01, 0.025)
    assert text.startswith("The first shared direction is above chance, but the ")
    assert "The rank is a convention here." in text


def test_rank_zero_has_nothing_to_project():
    text = reason([0.1], SharedRank(0, False, 0.2), 0.0, 1.0)
    assert text.endswith("there is nothing to project out.")


def test_every_danger_of_a_pair_is_told():
    notes = pair_notes([0.2, 0.3], {"v": 0.6, "t": 0.4}, {"v": 50.0, "t": 3.0}, {})
    assert notes == [
        "The projection takes 60 % of the variance of v: its own main axes, shared or "
        "not.",
        "Along every suggested direction the two modalities correlate by 0.30 at most: "
        "these directions are loud rather than redundant.",
        "The shared directions of v differ by up to 50 degrees between halves of the "
        "catalogue: they are not well determined.",
    ]


def test_neighbours_by_chance_are_told_only_if_all_are():
    assert len(pair_notes([], {}, {}, {"5": (0.01, 0.02), "10": (0.02, 0.02)})) == 1
    assert pair_notes([], {}, {}, {"5": (0.01, 0.02), "10": (0.03, 0.02)}) == []


def test_a_clean_modality_has_no_notes():
    assert modality_notes("v", CLEAN) == []
    few = replace(CLEAN, largest_duplicate_group=10)
    assert modality_notes("v", few) == []
    assert len(modality_notes("v", replace(CLEAN, largest_duplicate_group=11))) == 1
