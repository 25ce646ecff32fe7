from __future__ import annotations

import pytest

from mmgraph.analysis.leaderboard.published import (
    caveat,
    counts_of,
    published,
    published_change,
    published_cost,
    recognise,
)


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ((19445, 7050, 160792), "baby"),
        ((35598, 18357, 296337), "sports"),
        ((39387, 23033, 278677), "clothing"),
        ((9308, 6710, 68722), "tiktok"),
        ((9308, 6710, 68712), "tiktok"),  # ten rows of users without training
        ((9308, 6710, 68000), None),
        ((19445, 7050, 160793), None),
    ],
)
def test_data_sets_are_recognised_by_their_counts(counts, name):
    assert recognise(*counts) == name


# Typed from the papers' tables, apart from the data file.
@pytest.mark.parametrize(
    ("dataset", "model", "r10", "r20", "n10", "n20"),
    [
        ("baby", "MF-BPR", 0.0357, 0.0575, 0.0192, 0.0249),
        ("sports", "MF-BPR", 0.0432, 0.0653, 0.0241, 0.0298),
        ("baby", "LightGCN", 0.0479, 0.0754, 0.0257, 0.0328),
        ("sports", "LightGCN", 0.0569, 0.0864, 0.0311, 0.0387),
        ("clothing", "VBPR", 0.0281, 0.0415, 0.0158, 0.0192),
        ("baby", "FREEDOM", 0.0627, 0.0992, 0.0330, 0.0424),
        ("clothing", "CLEAR", 0.0675, 0.1001, 0.0358, 0.0440),
        ("sports", "SEA", 0.0757, 0.1145, 0.0408, 0.0508),
        ("baby", "VBPR+CLEAR", 0.0469, 0.0776, 0.0258, 0.0336),
        ("baby", "FREEDOM+CLEAR", 0.0634, 0.0992, 0.0337, 0.0427),
        ("baby", "VBPR+SEA", 0.0457, 0.0743, 0.0243, 0.0317),
        ("baby", "FREEDOM+SEA", 0.0636, 0.1013, 0.0336, 0.0433),
        ("baby", "SEAb", 0.0650, 0.1012, 0.0349, 0.0441),
        ("baby", "SEAd", 0.0644, 0.1007, 0.0345, 0.0436),
    ],
)
def test_published_rows_are_the_papers(dataset, model, r10, r20, n10, n20):
    row = published(dataset, model)
    keys = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
    assert [row[key] for key in keys] == [r10, r20, n10, n20]


def test_tiktok_rows_and_their_caveat():
    assert published("tiktok", "LightGCN")["recall@20"] == 0.0653
    assert published("tiktok", "MMSSL")["ndcg@20"] == 0.0392
    assert "textual" in caveat("tiktok")
    assert caveat("baby") is None


def test_unpublished_is_none_and_rows_are_copies():
    assert published(None, "LightGCN") is None
    assert published("sports", "VBPR+CLEAR") is None
    published("baby", "VBPR")["recall@20"] = 1.0
    assert published("baby", "VBPR")["recall@20"] == 0.0663


def test_counts_sum_the_splits():
    counts = {"users": 9308, "items": 6710, "train": 59541, "valid": 3051}
    assert recognise(*counts_of({"counts": {**counts, "test": 6130}})) == "tiktok"


def test_a_table_with_a_row_of_its_own_is_read_from_it():
    assert published("baby", "FREEDOM", "CLEAR, Table 3")["ndcg@20"] == 0.0420
    assert published("baby", "VBPR", "CLEAR, Table 3") == published("baby", "VBPR")
    assert published("sports", "FREEDOM", "CLEAR, Table 3")["recall@20"] == 0.1089


# Typed from the papers' tables, apart from the data file.
@pytest.mark.parametrize(
    ("dataset", "model", "memory", "seconds"),
    [
        ("baby", "MF-BPR", 1.59, 0.86),
        ("baby", "CLEAR", 3.11, 2.30),
        ("sports", "LATTICE", 19.93, 13.59),
        ("clothing", "MMGCN", 4.24, 26.13),
        ("clothing", "CLEAR", 4.43, 5.34),
        ("baby", "SEAa", 3.42, 16.04),
        ("sports", "SEAc", 8.83, 60.97),
        ("clothing", "SEAb", 4.69, 21.41),
    ],
)
def test_published_costs_are_the_papers(dataset, model, memory, seconds):
    row = published_cost(dataset, model)
    assert (row["memory_gb"], row["seconds_per_epoch"]) == (memory, seconds)


def test_published_changes_are_those_of_the_text():
    found = [
        published_change(dataset, "CLEAR:strength=0")["recall@20"]
        for dataset in ("baby", "sports", "clothing")
    ]
    assert found == [-0.024, -0.017, -0.034]
    assert published_change("baby", "CLEAR:energy=0.9") is None
    assert published_change(None, "CLEAR:strength=0") is None
    assert published_cost("tiktok", "CLEAR") is None
