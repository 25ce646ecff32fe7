"""What version 0.1.0 of before the move to ``mmgraph.bench`` wrote still loads.

``old_run`` holds a data set of 40 users, a finished run, a run that was interrupted
after two of its three epochs, and a benchmark.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.results_folder import read_histories, read_per_user, read_results
from mmgraph.bench.run_directory import load_run, read_info
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run, train_run
from mmgraph.errors import UserError

OLD = Path(__file__).parent / "old_run"
DATA = DataSource(str(OLD / "toy"))


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_finished_run_has_the_metrics_that_were_written(split):
    run = load_run(OLD / "finished", data=DATA.data)
    assert run.info["epochs"] == 2
    metrics = evaluate_run(OLD / "finished", split, data=DATA.data, device="cpu")
    assert metrics == pytest.approx(run.info["metrics"][split], abs=1e-6)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_an_interrupted_run_is_not_gone_on_with_as_its_seed_draws_otherwise(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(OLD / "interrupted", folder)
    assert read_info(folder)["status"] == "running"
    settings = {"embedding_dim": 4, "rank": 2, "epochs": 3}
    run = run_config(parse_spec("VBPR+CLEAR"), settings, strict=True)
    with pytest.raises(UserError, match=r"or is of a version before 0\.8 - repeat its"):
        train_run(run, DATA, folder, device="cpu", resume=True)
    assert contents(folder) == contents(OLD / "interrupted")


def test_a_benchmark_is_read_and_not_gone_on_with(tmp_path):
    folder = tmp_path / "bench"
    shutil.copytree(OLD / "bench", folder)
    with pytest.raises(UserError, match=r"holds runs of mmgraph 0\.1\.0, whose seeds"):
        run_benchmark(
            [parse_spec("MF-BPR"), parse_spec("LightGCN:num_layers=1")],
            DATA,
            folder,
            seeds=[999],
            settings={"embedding_dim": 4, "epochs": 2},
            device="cpu",
            resume=True,
        )
    assert contents(folder) == contents(OLD / "bench")
    lines = read_results(folder)
    assert [line["spec"] for line in lines[1:]] == ["MF-BPR", "LightGCN:num_layers=1"]
    users, histories = read_per_user(folder, lines), read_histories(folder, lines)
    for line in lines[1:]:
        recall = torch.from_numpy(users[line["key"]]["recall@20"]).mean().item()
        assert recall == pytest.approx(line["metrics"]["test"]["recall@20"], abs=1e-12)
        assert len(histories[line["key"]]) == 2
