from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mmgraph.analysis.leaderboard.render import write_leaderboard
from mmgraph.analysis.per_user import load_per_user
from mmgraph.bench.benchmark import Benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.results_folder import read_per_user
from mmgraph.bench.run_directory import save_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.data import synthetic, write_dataset
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines, to_json_lines

SETTINGS = {"embedding_dim": 4, "epochs": 2, "lr": 0.01}
SPECS = [parse_spec("VBPR"), parse_spec("MF-BPR")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A benchmark of two systems and runs of one of them: the same, and more seeds."""
    root = tmp_path_factory.mktemp("root")
    *splits, _ = synthetic(num_users=40, num_items=30, interactions_per_user=8)
    write_dataset(*splits, root / "toy")
    source = DataSource(str(root / "toy"))
    splits, sha256 = source.load()
    bench = Benchmark(splits, "toy", sha256, root / "bench", device="cpu")
    bench.run(SPECS, [1, 2], settings=SETTINGS)
    for seed in (2, 3):
        train(root / f"run{seed}", source, SETTINGS, seed)
    train(root / "wide", source, SETTINGS | {"embedding_dim": 8}, 1)
    train(root / "timed", DataSource(source.data, "temporal_or_user"), SETTINGS, 1)
    return root


def train(folder, source, settings, seed):
    splits, sha256 = DataSource(source.data).load()
    if source.split != "label":  # as if another rule had split the data
        sha256 = "f" * 64
    run = run_config(parse_spec("MF-BPR"), settings)
    done = run_experiment(
        run, splits, data="toy", data_sha256=sha256, seed=seed, device="cpu"
    )
    if source.split != "label":
        done.line["interactions_sha256"] = sha256
    save_run(folder, done, source)


def test_a_benchmark_gives_its_systems_in_order_without_popularity(root):
    systems = load_per_user([root / "bench"], device="cpu")
    assert [(s.label, s.seeds) for s in systems] == [
        ("VBPR", (1, 2)),
        ("MF-BPR", (1, 2)),
    ]
    lines = [json.loads(x) for x in (root / "bench" / "results.jsonl").open()]
    kept = read_per_user(root / "bench", lines)
    for system in systems:
        assert system.values.keys() == {"recall@20", "ndcg@20"}
        for n, seed in enumerate(system.seeds):
            (line,) = (
                x for x in lines if (x["spec"], x["seed"]) == (system.label, seed)
            )
            for name, values in system.values.items():
                assert values[n].tolist() == kept[line["key"]][name].tolist()
                mean = line["metrics"]["test"][name]
                assert values[n].mean() == pytest.approx(mean, abs=1e-12)
        assert system.users.tolist() == kept[lines[1]["key"]]["user"].tolist()


def test_metrics_of_a_run_directory_are_computed_from_its_model(root):
    (system,) = load_per_user([root / "run3"], device="cpu")
    metrics = json.loads((root / "run3" / "run.json").read_text())["metrics"]["test"]
    assert system.values.keys() == metrics.keys()
    for name, value in metrics.items():
        assert system.values[name].mean() == pytest.approx(value, abs=1e-12)


def test_runs_that_differ_in_the_seed_alone_are_one_system(root):
    systems = load_per_user([root / "run3", root / "bench"], device="cpu")
    assert [(s.label, s.seeds) for s in systems] == [
        ("MF-BPR", (1, 2, 3)),
        ("VBPR", (1, 2)),
    ]
    assert systems[0].values.keys() == {"recall@20", "ndcg@20"}  # what all have
    again = load_per_user([root / "run2"], device="cpu")[0]
    mine = systems[0].values["recall@20"][1]
    assert mine == pytest.approx(again.values["recall@20"][0], abs=1e-12)


def test_one_name_with_two_settings_is_two_systems(root):
    systems = load_per_user([root / "run2", root / "wide"], device="cpu")
    names = [f"MF-BPR ({root / name})" for name in ("run2", "wide")]
    assert [s.label for s in systems] == names


def refuse(message, *paths):
    with pytest.raises(UserError) as error:
        load_per_user(paths, device="cpu")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_given_twice_is_refused(root):
    refuse(
        f"run2: MF-BPR seed 2 is in {root / 'bench'}, too - give it once",
        root / "bench",
        root / "run2",
    )


def test_other_data_and_other_splits_are_refused(root, tmp_path):
    sha256 = json.loads((root / "run2" / "run.json").read_text())["data_sha256"][:16]
    both = f"has data of SHA-256 ffffffffffffffff, MF-BPR seed 2 in {root / 'run2'} of "
    refuse(
        "timed: split 'temporal_or_user' differs from 'label': MF-BPR seed 1 "
        f"{both}{sha256} - compare runs on the same data and split",
        root / "run2",
        root / "timed",
    )
    other = tmp_path / "other"
    shutil.copytree(root / "bench", other)
    lines = read_json_lines(other / "results.jsonl")
    hashes = dict.fromkeys(("data_sha256", "interactions_sha256"), "0" * 64)
    changed = [{**line, **hashes} for line in lines]
    (other / "results.jsonl").write_bytes(to_json_lines(changed))
    refuse("other: data or split differ: VBPR seed 1 has data of", root / "run2", other)


def test_a_system_that_reads_no_features_is_compared(root, tmp_path):
    """Of other data to the letter, but of the same interactions."""
    other = tmp_path / "other"
    shutil.copytree(root / "bench", other)
    lines = read_json_lines(other / "results.jsonl")
    changed = [{**line, "data_sha256": "0" * 64} for line in lines]
    (other / "results.jsonl").write_bytes(to_json_lines(changed))
    systems = load_per_user([root / "wide", other], device="cpu")
    assert {s.label.split()[0] for s in systems} == {"MF-BPR", "VBPR"}
    assert len(systems) == 3


def test_missing_and_damaged_files_are_told(root, tmp_path):
    refuse("neither run.json nor results.jsonl is there - give folders", tmp_path)
    (tmp_path / "run.json").write_text('{"status": "running", "key": "k"}')
    refuse("the run has not finished - continue it with mmgraph train", tmp_path)
    (tmp_path / "results.jsonl").write_text("")
    refuse("results.jsonl: no run has finished - go on with mmgraph bench", tmp_path)
    (tmp_path / "results.jsonl").write_text("[1]\n")
    refuse("results.jsonl:1: not a JSON object - delete the row, or put", tmp_path)
    (tmp_path / "results.jsonl").write_text("{}\n")
    refuse("results.jsonl:1: the line has no 'spec' - delete the row", tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(root / "bench", broken)
    lines = [json.loads(x) for x in (broken / "results.jsonl").open()]
    path = broken / "per_user" / f"{lines[1]['key']}.npz"
    for content in (b"no archive", path.read_bytes()[:-40]):
        path.write_bytes(content)
        refuse(f"{path}: damaged", broken)
    path.unlink()
    refuse("broken: VBPR seed 1 has no per_user file - run the benchmark", broken)


def test_other_users_are_refused(root, tmp_path):
    shutil.copytree(root / "bench", tmp_path / "bench")
    lines = [json.loads(x) for x in (tmp_path / "bench" / "results.jsonl").open()]
    path = tmp_path / "bench" / "per_user" / f"{lines[3]['key']}.npz"
    with np.load(path) as table:
        np.savez(path, **dict(table) | {"user": table["user"] + 1})
    refuse(
        "bench: MF-BPR seed 2 was measured on other users than MF-", tmp_path / "bench"
    )
    other = tmp_path / "bench" / "per_user" / f"{lines[4]['key']}.npz"
    with np.load(other) as table:
        np.savez(other, **dict(table) | {"user": table["user"] + 1})
    refuse("MF-BPR was measured on other users than VBPR", tmp_path / "bench")
    message = r"npz: is of other users than the first - delete it, or run the bench"
    with pytest.raises(UserError, match=message):
        write_leaderboard(tmp_path / "bench")


def test_a_single_user_is_too_few(root, tmp_path):
    shutil.copytree(root / "bench", tmp_path / "bench")
    for path in (tmp_path / "bench" / "per_user").iterdir():
        with np.load(path) as table:
            means = {name: table[name].mean() for name in ("recall@20", "ndcg@20")}
            user = table["user"][:1]
        np.savez(path, user=user, **{name: [mean] for name, mean in means.items()})
    refuse("VBPR was tested on 1 user, an interval needs 2", tmp_path / "bench")
