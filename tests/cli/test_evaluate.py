from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
import torch
from fake_ray import FakeRay
from launched import command_line

from mmgraph.cli import main
from mmgraph.data import load_dataset
from mmgraph.distributed.world import World
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.functional.recommend.metrics import METRICS
from mmgraph.schema import INTERACTS, ITEM, USER


@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_are_those_of_the_training(run, capsys, split):
    assert main(["evaluate", str(run), "--split", split, "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    trained = json.loads((run / "run.json").read_text())["metrics"][split]
    assert (result["run"], result["split"]) == (str(run), split)
    assert result["metrics"] == pytest.approx(trained, abs=1e-12)


def test_cut_offs_are_the_users(run, capsys):
    assert main(["evaluate", str(run), "--k", "1, 5", "--json", "--quiet"]) == 0
    names = json.loads(capsys.readouterr().out)["metrics"]
    assert {name.partition("@")[2] for name in names} == {"1", "5"}


def test_plain_output_is_a_line_per_metric(run, capsys):
    assert main(["evaluate", str(run), "--k", "5", "--quiet"]) == 0
    assert "recall@5 " in capsys.readouterr().out


def test_a_cut_off_beyond_the_catalogue_finds_every_positive(run, capsys):
    assert main(["evaluate", str(run), "--k", "500", "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["recall@500"] == 1.0


def test_measures_and_candidates_are_told(run, catalogue, capsys):
    words = ["evaluate", str(run), "--k", "5", "--quiet", "--measures"]
    assert main([*words, "coverage, users", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {
        *("run", "split", "candidates", "metrics", "measures", "groups")
    }
    assert list(result["measures"]) == ["coverage@5"]
    assert main(["evaluate", str(run), "--k", "5", "--quiet", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["metrics"] == result["metrics"]
    assert main([*words, "all", "--candidates", "warm"]) == 0
    shown = capsys.readouterr().out
    for text in ("novelty@5 ", "diversity_visual@5 ", "users, by training", "shown@5"):
        assert text in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--measures", "luck"],
            "unknown measure 'luck' - choose among coverage",
        ),
        (["--candidates", "new"], "candidates is 'new' - write all, warm, cold"),
        (["--candidates", "cold"], "there is no cold item: every item has training"),
    ],
)
def test_wrong_measures_are_told(run, capsys, words, message):
    assert main(["evaluate", str(run), "--quiet", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_cluster_ranks_and_the_output_is_the_same(run, monkeypatch, capsys):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    words = ["evaluate", str(run), "--device", "cpu", "--quiet", "--json"]
    for more in ([], ["--measures", "all", "--k", "5"]):
        assert main([*words, *more]) == 0
        here = capsys.readouterr().out
        assert main([*words, *more, "--ray", "10.0.0.1:6379"]) == 0
        assert capsys.readouterr().out == here
    assert fake.calls[0] == "10.0.0.1:6379"


def test_a_cluster_is_none_of_torchrun_and_gpus_are_of_a_cluster(
    run, monkeypatch, capsys
):
    assert main(["evaluate", str(run), "--gpus", "1"]) == 2
    assert capsys.readouterr().err == (
        "error: --gpus is given without --ray - give both, or neither\n"
    )
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["evaluate", str(run), "--ray", "auto", "--quiet"]) == 2
    assert "Ray is not installed - pip install" in capsys.readouterr().err
    monkeypatch.setattr("mmgraph.distributed.world.world", lambda: World(0, 2))
    for words in (["--ray", "auto"], ["--shard", "1/2", "--per-user", "users.csv"]):
        assert main(["evaluate", str(run), *words, "--quiet"]) == 2
        assert capsys.readouterr().err == (
            f"error: {words[0]} is given, and torchrun started this - use one of them\n"
        )


def evaluate_users(run, path, *words):
    """Table and JSON of ``evaluate --per-user``."""
    words = ["--per-user", str(path), "--json", "--quiet", *words]
    return main(["evaluate", str(run), *words, "--device", "cpu"])


@pytest.fixture
def seven_at_a_time(catalogue, monkeypatch):
    """Blocks of seven users, so that there are several."""
    items = load_dataset(catalogue)[0][ITEM].num_nodes
    monkeypatch.setattr(
        "mmgraph.train.evaluation.RANKED_SCORES", BlockSize(7 * items, 1)
    )


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_table_has_what_the_lists_of_each_user_give(
    run, catalogue, tmp_path, capsys, split
):
    """Recall and reciprocal rank by the lists of ``recommend``, one by one."""
    words = ["--split", split, "--k", "5,3"]
    assert evaluate_users(run, tmp_path / "users.parquet", *words) == 0
    told = json.loads(capsys.readouterr().out)
    table = pd.read_parquet(tmp_path / "users.parquet")
    names = [f"{name}@{k}" for k in (5, 3) for name in METRICS]
    assert list(table.columns) == ["user_id", *names]
    assert (table[names].dtypes == "float64").all()

    lists = ["recommend", str(run), "--k", "5", "--out", str(tmp_path / "top.parquet")]
    assert main([*lists, "--device", "cpu", "--quiet"]) == 0
    capsys.readouterr()
    top = pd.read_parquet(tmp_path / "top.parquet").groupby("user_id")["item_id"]
    data = load_dataset(catalogue)[1 if split == "valid" else 2]
    wanted: dict[str, set] = {}
    for user, item in data[INTERACTS].edge_label_index.t().tolist():
        ids = data[USER].raw_id[user], data[ITEM].raw_id[item]
        wanted.setdefault(ids[0], set()).add(ids[1])
    in_order = [user for user in data[USER].raw_id if user in wanted]
    assert table["user_id"].tolist() == in_order
    for row in table.to_dict("records"):
        positives, items = wanted[row["user_id"]], top.get_group(row["user_id"])
        found = [rank for rank, item in enumerate(items, 1) if item in positives]
        assert row["recall@5"] == len(found) / len(positives)
        assert row["mrr@5"] == (1 / found[0] if found else 0)
        assert row["hit@3"] == any(rank <= 3 for rank in found)

    assert main(["evaluate", str(run), *words, "--json", "--quiet"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert told == {**plain, "per_user": str(tmp_path / "users.parquet")}


def test_shards_follow_each_other_and_have_the_mean_of_all(
    run, tmp_path, capsys, seven_at_a_time
):
    words, names = ["--k", "5,10"], ("all", "1", "2", "3")
    told = {}
    for name in names:
        shard = [] if name == "all" else ["--shard", f"{name}/3"]
        for path in (tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet"):
            assert evaluate_users(run, path, *words, *shard) == 0
            told[name] = json.loads(capsys.readouterr().out)
    whole, *parts = ((tmp_path / f"{n}.csv").read_text().partition("\n") for n in names)
    assert {head for head, *_ in parts} == {whole[0]}
    assert "".join(rows for *_, rows in parts) == whole[2]
    assert all(rows for *_, rows in parts)

    whole, *parts = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in names)
    joined = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)
    text = pd.read_csv(tmp_path / "all.csv", dtype=str).set_index("user_id")
    pd.testing.assert_frame_equal(
        text.map(float), whole.set_index("user_id"), check_exact=True
    )
    for number, part in zip("123", parts, strict=True):
        assert told[number]["shard"] == f"{number}/3"
        means = part.drop(columns="user_id").mean().to_dict()
        assert told[number]["metrics"] == pytest.approx(means, abs=1e-12)
    means = joined.drop(columns="user_id").mean().to_dict()
    assert told["all"]["metrics"] == pytest.approx(means, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("u.csv", ["--shard", "3/2"], "no such shard: '3/2' - write i/n with i from 1"),
        (
            *("u.csv", ["--shard", "900/900"]),
            "shard 900/900 has no users, who are ranked 7 at a time - use fewer shards",
        ),
        ("u.csv", ["--shard", "1/2", "--ray", "auto"], "--shard and --ray are both"),
        ("u.csv", ["--measures", "all"], "--per-user is given with --measures or"),
        ("u.csv", ["--candidates", "warm"], "--per-user is given with --measures or"),
        ("u.txt", [], "cannot write 'u.txt' - name it .csv or .parquet"),
    ],
)
def test_wrong_words_of_a_table_are_told_and_nothing_is_written(
    run, tmp_path, capsys, seven_at_a_time, name, words, message
):
    assert evaluate_users(run, tmp_path / name, *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_share_needs_a_table(run, capsys):
    assert main(["evaluate", str(run), "--shard", "1/2"]) == 2
    assert capsys.readouterr().err == (
        "error: --shard is given without --per-user - give both\n"
    )


def test_a_cluster_gives_the_same_table(run, tmp_path, monkeypatch, seven_at_a_time):
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    for name, words in (("here.csv", []), ("there.csv", ["--ray", "10.0.0.1:6379"])):
        assert evaluate_users(run, tmp_path / name, *words) == 0
    here, there = ((tmp_path / f"{n}.csv").read_bytes() for n in ("here", "there"))
    assert there == here


def test_the_first_of_two_processes_writes_the_table_of_all(
    run, tmp_path, capsys, monkeypatch, seven_at_a_time
):
    assert evaluate_users(run, tmp_path / "one.csv") == 0
    one = json.loads(capsys.readouterr().out)["metrics"]
    evaluation, found = "mmgraph.train.evaluation", []

    def evaluate_as(rank, rows_of_all):
        for module in (evaluation, "mmgraph.bench.training"):
            monkeypatch.setattr(f"{module}.world", lambda: World(rank, 2))
        monkeypatch.setattr(f"{evaluation}.rows_of_all", rows_of_all)
        assert evaluate_users(run, tmp_path / f"rank-{rank}.csv") == 0
        return json.loads(capsys.readouterr().out)["metrics"]

    def keep(rows, sizes):
        found.append(rows)
        return rows.new_zeros(sum(sizes), rows.size(1))

    for rank in (0, 1):
        evaluate_as(rank, keep)
    for rank in (0, 1):
        assert evaluate_as(rank, lambda rows, sizes: torch.cat(found)) == one
    assert all(map(len, found))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["one.csv", "rank-0.csv"]
    one, first = ((tmp_path / name).read_bytes() for name in names)
    assert first == one


def test_the_first_of_several_processes_writes_the_table(run, tmp_path, capsys, launch):
    assert evaluate_users(run, tmp_path / "one.csv") == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    words = ["evaluate", run, "--device", "cpu", "--quiet", "--json", "--per-user"]
    outputs = launch(2, command_line, *words, tmp_path / "two.csv").outputs()
    assert [code for code, *_ in outputs] == [0, 0], outputs
    assert json.loads(outputs[0][1])["metrics"] == metrics
    assert outputs[1][1] == ""
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()

    (tmp_path / "folder.csv").mkdir()
    outputs = launch(2, command_line, *words, tmp_path / "folder.csv").outputs()
    assert all(code for code, *_ in outputs)
    lines = "".join(err for *_, err in outputs).splitlines()
    (told,) = (line for line in lines if line.startswith("error: "))
    assert told.endswith("folder.csv: is a folder - choose another place")
