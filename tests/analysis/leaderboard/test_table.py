from __future__ import annotations

import statistics

import numpy as np
import pytest
from reference.intervals import crossed_interval, percentile_interval
from scipy import stats

from mmgraph.analysis.leaderboard.table import METRICS, build_leaderboard

BABY = {"users": 19445, "items": 7050, "train": 118551, "valid": 20559, "test": 21682}


def line(spec, seed, recall, **changes):
    test = dict.fromkeys(METRICS, recall / 2) | {"recall@20": recall}
    return {
        "spec": spec,
        "seed": seed,
        "key": f"{spec}-{seed}",
        "data": "toy",
        "data_sha256": "f" * 64,
        "options": {},
        "trainer": {},
        "counts": {**BABY, "users": 5},
        "metrics": {"valid": dict.fromkeys(METRICS, recall + 0.01), "test": test},
        "epochs": seed,
        "seconds_per_epoch": 1.0,
        "peak_memory_bytes": seed,
        **changes,
    }


def row(board, label):
    return next(row for row in board.rows if row.label == label)


def test_mean_and_spread_over_seeds():
    values = [0.10, 0.13, 0.11]
    lines = [line("VBPR", seed, value) for seed, value in enumerate(values)]
    found = row(build_leaderboard(lines), "VBPR")
    assert found.mean["recall@20"] == pytest.approx(statistics.mean(values), abs=1e-12)
    assert found.sd["recall@20"] == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert found.valid == pytest.approx(statistics.mean(values) + 0.01, abs=1e-12)
    assert (found.num_seeds, found.epochs, found.peak_memory_bytes) == (3, 1, 2)


def test_rows_are_ranked_by_test_recall():
    board = build_leaderboard([line("A", 1, 0.1), line("B", 1, 0.3), line("C", 1, 0.2)])
    assert [row.label for row in board.rows] == ["B", "C", "A"]


def test_published_rows_only_stand_beside_the_same_data():
    toy = build_leaderboard([line("LightGCN", 1, 0.07)])
    assert row(toy, "LightGCN").published is None
    baby = build_leaderboard([line("LightGCN", 1, 0.07, counts=BABY)])
    assert row(baby, "LightGCN").published["recall@20"] == 0.0754
    assert any("Published" in note for note in baby.notes)
    released = build_leaderboard([line("LightGCN@released", 1, 0.07, counts=BABY)])
    assert row(released, "LightGCN@released").published["recall@20"] == 0.0754
    changed = build_leaderboard([line("LightGCN:lr=1", 1, 0.07, counts=BABY)])
    assert row(changed, "LightGCN:lr=1").published is None


def test_other_data_and_older_settings_do_not_mix_in():
    board = build_leaderboard(
        [
            line("VBPR", 1, 0.9, data_sha256="other"),
            line("VBPR", 2, 0.8, options={"rank": 1}),
            line("VBPR", 3, 0.1),
        ]
    )
    assert [(row.label, row.mean["recall@20"]) for row in board.rows] == [("VBPR", 0.1)]


def test_a_run_that_was_trained_again_is_no_other_seed():
    """As MF-BPR is, once a system that reads features comes into the folder."""
    first = [line("MF-BPR", seed, 0.1 * seed, data_sha256="bare") for seed in (1, 2, 3)]
    again = [line("MF-BPR", seed, 0.1 * seed) for seed in (1, 2, 3)]
    (once,) = build_leaderboard(first).rows
    (row,) = build_leaderboard([*first, *again]).rows
    assert row.num_seeds == once.num_seeds == 3
    assert row.sd == pytest.approx(once.sd)
    (row,) = build_leaderboard([*again, line("MF-BPR", 3, 0.9)]).rows
    assert row.mean["recall@20"] == pytest.approx((0.1 + 0.2 + 0.9) / 3)


def test_variants_are_tested_against_their_nearest_base_over_users():
    rng = np.random.default_rng(0)
    specs = ["VBPR", "VBPR+CLEAR", "VBPR+CLEAR:strength=0", "SEA"]
    lines = [line(spec, seed, 0.1) for spec in specs for seed in (1, 2)]
    users = {
        x["key"]: {"user": np.arange(30), "recall@20": rng.random(30)} for x in lines
    }
    board = build_leaderboard(lines, users)

    def mean(spec):
        return (users[f"{spec}-1"]["recall@20"] + users[f"{spec}-2"]["recall@20"]) / 2

    def matrix(spec):
        return np.stack([users[f"{spec}-{seed}"]["recall@20"] for seed in (1, 2)])

    def interval(values):  # the draws move its ends by some per cent of its width
        low, high = crossed_interval(values)
        return pytest.approx((low, high), abs=0.04 * (high - low))

    pairs = [("VBPR+CLEAR", "VBPR"), ("VBPR+CLEAR:strength=0", "VBPR+CLEAR")]
    raw = [stats.ttest_rel(mean(a), mean(b)).pvalue for a, b in pairs]
    raw_w = [stats.wilcoxon(mean(a), mean(b)).pvalue for a, b in pairs]
    for n, (variant, base) in enumerate(pairs):
        found = row(board, variant).comparison
        assert found.base == base
        assert found.num_users == 30
        expected = (mean(variant) - mean(base)).mean()
        assert found.difference == pytest.approx(expected, abs=1e-12)
        assert found.interval == interval(matrix(variant) - matrix(base))
        assert found.over_users == pytest.approx(
            percentile_interval(mean(variant) - mean(base))
        )
        assert found.per_seed == pytest.approx(
            (matrix(variant) - matrix(base)).mean(axis=1)
        )
        for p, value in ((raw, found.t_p_value), (raw_w, found.wilcoxon_p_value)):
            # Holm with two p-values, written out.
            small, large = min(p), max(p)
            adjusted = min(1, 2 * small)
            if p[n] == large:
                adjusted = max(adjusted, large)
            assert value == pytest.approx(adjusted, abs=1e-12)
        assert row(board, variant).interval == interval(matrix(variant))
    assert row(board, "VBPR").comparison is None
    assert row(board, "SEA").comparison is None


def test_options_that_differ_beside_the_name_are_told():
    host = line("FREEDOM", 1, 0.1, options={"reg_weight": 0.0, "k": 5})
    mine = {"reg_weight": 0.1, "k": 5, "rank": 8}
    lines = [
        host,
        line("FREEDOM+CLEAR", 1, 0.1, options=mine, trainer={"lr": 1}),
        line("FREEDOM:k=9", 1, 0.1, options={"reg_weight": 0.0, "k": 9}),
    ]
    users = {x["key"]: {"recall@20": np.arange(5.0) * i} for i, x in enumerate(lines)}
    board = build_leaderboard(lines, users)
    found = row(board, "FREEDOM+CLEAR").comparison.other_options
    assert found == {"reg_weight": (0.1, 0.0)}
    assert row(board, "FREEDOM:k=9").comparison.other_options == {}
    text = "FREEDOM+CLEAR differs from FREEDOM in reg_weight=0.1 (FREEDOM: 0.0), too."
    assert [note for note in board.notes if "differs" in note] == [text]


def test_without_per_user_values_nothing_is_tested():
    board = build_leaderboard([line("VBPR", 1, 0.1), line("VBPR+SEA", 1, 0.2)])
    assert all(row.comparison is row.interval is None for row in board.rows)


def test_of_a_single_user_nothing_is_tested_either():
    lines = [line("VBPR", 1, 0.1), line("VBPR+SEA", 1, 0.2)]
    users = {"user": np.array([3]), "recall@20": np.array([0.5])}
    board = build_leaderboard(lines, {entry["key"]: users for entry in lines})
    assert all(row.comparison is row.interval is None for row in board.rows)


@pytest.mark.parametrize(
    ("more", "said"),
    [({}, ""), ({"seeds": 1}, " with one seed"), ({"seeds": 3}, " with 3 seeds")],
    ids=["of a version before", "one", "three"],
)
def test_the_choice_on_validation_is_told(more, said):
    chosen = {"selection": {"chosen": {"lr": 0.1}, "tried": 4} | more}
    board = build_leaderboard([line("VBPR", 1, 0.1, **chosen)])
    expected = f"options chosen on validation, 4 points tried{said}: lr=0.1."
    assert board.notes[-1].endswith(expected)


def test_no_lines_are_refused():
    with pytest.raises(ValueError, match=r"at least one line \(got none\)"):
        build_leaderboard([])


def test_floors_are_compared_with_nothing_and_named_in_a_note():
    lines = [
        line("Popularity", 0, 0.2, model="Popularity"),
        line("ContentKNN", 1, 0.3, model="ContentKNN"),
        line("ContentKNN:modality=visual", 1, 0.1, model="ContentKNN"),
        line("VBPR", 1, 0.25, model="VBPR"),
        line("VBPR+CLEAR", 1, 0.35, model="VBPR"),
    ]
    users = {x["key"]: {"recall@20": np.arange(5.0) * i} for i, x in enumerate(lines)}
    board = build_leaderboard(lines, users)
    floors = [row.label for row in board.rows if row.is_floor]
    assert floors == ["ContentKNN", "Popularity", "ContentKNN:modality=visual"]
    compared = [row.label for row in board.rows if row.comparison]
    assert compared == ["VBPR+CLEAR"]
    assert "Below the highest floor, ContentKNN: VBPR." in board.notes
    (note,) = (n for n in board.notes if n.startswith("Floors, without training: "))
    assert "ContentKNN, Popularity, ContentKNN:modality=visual;" in note


def test_runs_of_other_seeds_are_compared_without_pairing_them():
    rng = np.random.default_rng(1)
    lines = [line("VBPR", s, 0.1) for s in (1, 2)]
    lines += [line("VBPR+CLEAR", s, 0.1) for s in (2, 3)]
    users = {x["key"]: {"recall@20": rng.random(30)} for x in lines}
    board = build_leaderboard(lines, users)
    found = row(board, "VBPR+CLEAR").comparison
    old, new = (
        np.stack([users[key]["recall@20"] for key in keys])
        for keys in (("VBPR-1", "VBPR-2"), ("VBPR+CLEAR-2", "VBPR+CLEAR-3"))
    )
    low, high = crossed_interval(new, old)
    assert found.interval == pytest.approx((low, high), abs=0.04 * (high - low))
    assert found.per_seed is None
