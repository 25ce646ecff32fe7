from __future__ import annotations

import json

import numpy as np
import pytest
from reference.intervals import (
    crossed_detectable,
    crossed_interval,
    crossed_p_value,
    percentile_interval,
)
from scipy import stats

from mmgraph.bench.results_folder import read_per_user
from mmgraph.cli import main


@pytest.fixture(scope="module")
def results(catalogue, tmp_path_factory):
    """A benchmark of two systems with two seeds each."""
    out = tmp_path_factory.mktemp("bench")
    words = ["bench", "MF-BPR", "VBPR", "--data", str(catalogue), "--seeds", "2"]
    words += ["--set", "embedding_dim=8", "--epochs", "3", "--set", "lr=0.01"]
    assert main([*words, "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    return out


def test_json_holds_the_figures_that_scipy_gives(results, capsys):
    words = ["compare", str(results), "--metric", "ndcg@20", "--seed", "4", "--json"]
    assert main([*words, "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in (results / "results.jsonl").open()]
    users = read_per_user(results, lines)
    old, new = (
        np.stack([users[x["key"]]["ndcg@20"] for x in lines if x["spec"] == spec])
        for spec in ("MF-BPR", "VBPR")
    )

    def interval(values):
        return pytest.approx(list(percentile_interval(values, seed=4)))

    assert found["metric"] == "ndcg@20"
    first, second = found["systems"]
    for system, values in ((first, old), (second, new)):
        assert system["seeds"] == [999, 1000]
        assert system["num_users"] == values.shape[1]
        assert system["mean"] == pytest.approx(values.mean(), abs=1e-12)
        assert system["sd"] == pytest.approx(values.mean(1).std(ddof=1), abs=1e-12)
        assert system["over_users"] == interval(values.mean(0))
        assert system["over_seeds"] == interval(values.mean(1))
        low, high = crossed_interval(values)
        width = pytest.approx([low, high], abs=0.06 * (high - low))
        assert system["over_both"] == width
    assert first["difference"] is None
    paired = new.mean(0), old.mean(0)
    low, high = crossed_interval(new - old)
    assert second["difference"] == {
        "base": "MF-BPR",
        "mean": pytest.approx((new - old).mean(), abs=1e-12),
        "over_users": interval(paired[0] - paired[1]),
        "over_seeds": interval(new.mean(1) - old.mean(1)),
        "over_both": pytest.approx([low, high], abs=0.06 * (high - low)),
        "per_seed": pytest.approx((new - old).mean(1).tolist()),
        "p_value": pytest.approx(crossed_p_value(new - old), abs=0.03),
        "detectable": pytest.approx(crossed_detectable(new - old), rel=0.05),
        "t_p_value": pytest.approx(stats.ttest_rel(*paired).pvalue),
        "wilcoxon_p_value": pytest.approx(
            stats.wilcoxon(np.subtract(*paired)[paired[0] != paired[1]]).pvalue
        ),
    }


def test_runs_and_benchmarks_stand_in_one_table(run, results, capsys):
    assert main(["compare", str(run), str(results), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "recall@20" in shown
    for name in ("MF-BPR:embedding_dim=8,epochs=3", "VBPR", "Holm"):
        assert name in shown
    assert shown.count(" to ") >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--metric", "recal@20"],
            "unknown metric 'recal@20' - did you mean 'recall@2",
        ),
        (["nowhere"], "error: nowhere: neither run.json nor results.jsonl is there"),
    ],
)
def test_mistakes_are_told_in_one_line(results, capsys, words, message):
    assert main(["compare", str(results), *words, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_data_of_several_runs_are_read_and_told_once(
    run, catalogue, tmp_path, capsys
):
    other = tmp_path / "other"
    words = ["train", "MF-BPR:embedding_dim=8,epochs=1", "--data", str(catalogue)]
    assert main([*words, "--out", str(other), "--device", "cpu", "--quiet"]) == 0
    assert main(["compare", str(run), str(other)]) == 0
    told = capsys.readouterr().err
    assert told.count("interactions.parquet") == 1
