from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from reference.result_lines import point, result

from mmgraph.analysis.leaderboard.render import write_leaderboard
from mmgraph.bench.results_folder import (
    BenchFolder,
    Rival,
    read_histories,
    read_per_user,
    read_results,
)
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines


def kept(path):
    folder = path / "selected"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def rivals(*keys):
    return [Rival((key,)) for key in keys]


def test_only_the_best_point_of_a_stage_stays_on_disk(tmp_path):
    folder = BenchFolder(tmp_path)
    stage = ["a", "b", "c", "d"]
    steps = [("b", 0.2, ["b"]), ("a", 0.1, ["b"]), ("d", 0.3, ["d"]), ("c", 0.3, ["c"])]
    for key, value, expected in steps:  # of equal ones the first of the stage stays
        folder.add_point(point(key, value), rivals(*stage), b"weights")
        assert kept(tmp_path) == expected
    assert folder.selected("c") == tmp_path / "selected" / "c"
    assert folder.selected("a") is None


def test_a_weaker_point_stays_beside_a_better_one(tmp_path):
    folder = BenchFolder(tmp_path)
    stage = [Rival((key,), (n,)) for n, key in enumerate("abcd")]
    steps = [("b", 0.2, "b"), ("a", 0.1, "ab"), ("d", 0.2, "ab"), ("c", 0.3, "abc")]
    for key, value, expected in steps:  # d is as good as b, and stronger
        folder.add_point(point(key, value), stage, b"weights")
        assert kept(tmp_path) == list(expected)


def test_the_mean_over_seeds_decides_what_stays(tmp_path):
    folder = BenchFolder(tmp_path)
    stage = [Rival(("a1", "a2")), Rival(("b1", "b2"))]
    values = {"a1": 0.1, "a2": 0.4, "b1": 0.3, "b2": 0.1}
    for key, value in values.items():
        folder.add_point(point(key, value), stage, b"weights")
        assert {"a1", "a2"} & values.keys() >= {k for k in kept(tmp_path) if k < "b"}
    assert kept(tmp_path) == ["a1", "a2"]
    assert folder.value("a1", "a2") == 0.25
    folder.add_point(point("c", None), [Rival(("a1", "c"))], None)
    assert folder.value("a1", "c") == float("-inf")  # one seed diverged


def test_a_point_that_diverged_keeps_nothing_and_loses(tmp_path):
    folder = BenchFolder(tmp_path)
    folder.add_point(point("a", None), rivals("a", "b"), None)
    assert kept(tmp_path) == []
    folder.add_point(point("b", 0.0), rivals("a", "b"), b"weights")
    assert kept(tmp_path) == ["b"]
    assert (folder.value("a"), folder.value("b")) == (float("-inf"), 0.0)


def test_the_line_of_results_ends_the_need_for_the_parameters(tmp_path):
    folder = BenchFolder(tmp_path)
    folder.add_point(point("a", 0.1), rivals("a"), b"weights")
    users = {"user": np.arange(2), "recall@20": np.ones(2), "ndcg@20": np.zeros(2)}
    line = result("a")
    line["metrics"]["test"] |= {"recall@20": 1.0, "ndcg@20": 0.0}
    folder.add_result(line, users | {"mrr@20": np.ones(2)})
    assert kept(tmp_path) == []
    assert read_per_user(tmp_path, folder.lines())["a"].keys() == users.keys()


def test_histories_are_found_by_the_key_of_their_run(tmp_path):
    folder = BenchFolder(tmp_path)
    rows = [{"epoch": 1, "loss/bpr": 0.7}, {"epoch": 2, "loss/bpr": 1 / 3}]
    folder.add_result(result("a"), history=rows)
    folder.add_result(result("b"))  # as the line of the popular items
    assert read_histories(tmp_path, folder.lines()) == {"a": rows}
    anew = BenchFolder(tmp_path)
    assert read_histories(tmp_path, anew.lines()) == {}


def test_what_is_there_is_found_again_or_moved_aside(tmp_path):
    first = BenchFolder(tmp_path)
    first.add_result(result("r"))
    first.add_point(point("p", 0.5), rivals("p"), b"weights")
    again = BenchFolder(tmp_path, resume=True)
    assert again.is_done("r")
    assert again.value("p") == 0.5
    assert kept(tmp_path) == ["p"]
    (tmp_path / "selected" / "note.txt").write_text("mine")
    anew = BenchFolder(tmp_path)
    assert anew.lines() == []
    assert anew.tried == {}
    assert kept(tmp_path) == ["note.txt"]  # nothing but what a benchmark wrote goes
    previous = read_json_lines(tmp_path / "selection.jsonl.previous")
    assert previous == [point("p", 0.5)]


def test_what_was_moved_aside_is_never_written_over(tmp_path):
    for key in "abc":
        BenchFolder(tmp_path).add_result(result(key))
    BenchFolder(tmp_path)
    kept = {p.name: json.loads(p.read_text())["key"] for p in tmp_path.iterdir()}
    assert kept == {
        "results.jsonl.previous": "a",
        "results.jsonl.previous-2": "b",
        "results.jsonl.previous-3": "c",
    }


@pytest.mark.parametrize("draws", [None, 1])
def test_runs_whose_seeds_drew_other_numbers_are_not_gone_on_with(draws, tmp_path):
    line = result("a", versions={"mmgraph": "0.7.0"})
    del line["draws"]
    BenchFolder(tmp_path).add_result(line | ({} if draws is None else {"draws": draws}))
    with pytest.raises(UserError) as error:
        BenchFolder(tmp_path, resume=True)
    assert str(error.value) == (
        f"{tmp_path}: holds runs of mmgraph 0.7.0, whose seeds drew other numbers - "
        "choose another --out"
    )


def test_a_line_without_its_key_is_refused(tmp_path):
    (tmp_path / "selection.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(UserError, match=r"selection.jsonl:1: the line has no 'spec'"):
        BenchFolder(tmp_path, resume=True)


def test_sorting_brings_the_named_lines_behind_the_others(tmp_path):
    folder = BenchFolder(tmp_path)
    for key in ("floor", "c", "old", "a", "b"):
        folder.add_result(result(key))
    for key in ("y", "x"):
        folder.add_point(point(key, 0.1), rivals(key), None)
    folder.sort(["a", "b", "c", "a"], ["x", "y", "x"])
    assert [line["key"] for line in folder.lines()] == ["floor", "old", "a", "b", "c"]
    found = [json.loads(x)["key"] for x in (tmp_path / "selection.jsonl").open()]
    assert found == ["x", "y"]


def test_files_in_order_are_not_written_again(tmp_path):
    folder = BenchFolder(tmp_path)
    folder.add_result(result("a"))
    before = (tmp_path / "results.jsonl").stat().st_ino
    folder.sort(["a"], [])
    assert (tmp_path / "results.jsonl").stat().st_ino == before


@pytest.mark.parametrize(
    "key", ["../../secret", "/{outside}/secret", "a\0b", "x" * 999]
)
def test_a_key_that_leads_elsewhere_reads_nothing(tmp_path, key):
    key = key.format(outside=tmp_path)
    out, secret = tmp_path / "a" / "b", tmp_path / "secret.npz"
    users = {"user": np.arange(2), "recall@20": np.ones(2), "ndcg@20": np.zeros(2)}
    np.savez(secret, **users)
    (out / "per_user").mkdir(parents=True)
    (out / "results.jsonl").write_text(json.dumps(result(key)) + "\n")
    for read in (read_results, BenchFolder.lines, write_leaderboard):
        given = BenchFolder.__new__(BenchFolder)
        given.path = out
        with pytest.raises(UserError, match=r"results\.jsonl:1: .* is no key of a run"):
            read(given if read is BenchFolder.lines else out)
    for read in (read_per_user, read_histories):
        with pytest.raises(UserError, match="is no key of a run - delete its line"):
            read(out, [{"key": key}])
    folder = BenchFolder(tmp_path / "new")
    with pytest.raises(UserError, match="is no key of a run"):
        folder.add_point(point(key, 0.5), rivals(key), b"weights")
    with pytest.raises(UserError, match="is no key of a run"):
        folder.add_result(result(key), users)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "secret.npz"]


USERS = {"user": np.arange(3), "recall@20": np.ones(3), "ndcg@20": np.zeros(3)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": None}, "has no 'user'"),
        ({"recall@20": None}, "has no 'recall@20'"),
        ({"recall@20": np.ones(2)}, "'recall@20' is not a value per user"),
        ({"recall@20": np.ones((3, 1))}, "'recall@20' is not a value per user"),
        ({"ndcg@20": np.float64(1)}, "'ndcg@20' is not a value per user"),
        ({"user": np.ones((3, 3))}, "'user' is not a value per user"),
        ({"user": np.array([1, 1, 2])}, "'user' holds other values"),
        ({"user": np.ones(3)}, "'user' holds other values"),
        ({"user": np.array(list("abc"))}, "'user' holds other values"),
        ({"ndcg@20": np.array([0, 1, np.nan])}, "'ndcg@20' holds other values"),
        ({"ndcg@20": np.array([0, 1, np.inf])}, "'ndcg@20' holds other values"),
        ({"ndcg@20": np.array([0, 1, 2.0])}, "'ndcg@20' holds other values"),
        ({"ndcg@20": np.array([0, 1, -0.5])}, "'ndcg@20' holds other values"),
        ({"ndcg@20": np.array(list("abc"))}, "'ndcg@20' holds other values"),
        ({"more": np.array([{}, {}, {}], object)}, "cannot be read"),
    ],
)
def test_metrics_of_users_that_are_none_are_refused(tmp_path, changes, message):
    (tmp_path / "per_user").mkdir()
    arrays = {k: v for k, v in {**USERS, **changes}.items() if v is not None}
    np.savez(tmp_path / "per_user" / "a.npz", **arrays)
    with pytest.raises(UserError, match=rf"per_user/a\.npz: {message} - delete it, or"):
        read_per_user(tmp_path, [result("a")])


def test_metrics_of_the_users_of_another_run_are_refused(tmp_path):
    line = result("a")
    folder = BenchFolder(tmp_path)
    arrays = {name: np.array([0.25, 0.75]) for name in ("recall@20", "ndcg@20")}
    line["metrics"]["test"] |= {"recall@20": 0.5, "ndcg@20": 0.5}
    folder.add_result(line, {"user": np.arange(2), **arrays})
    assert read_per_user(tmp_path, [line]).keys() == {"a"}
    line["metrics"]["test"]["ndcg@20"] = 0.4
    message = r"a\.npz: ndcg@20 is 0\.500000 on average, the run has 0\.400000 - delete"
    with pytest.raises(UserError, match=message):
        read_per_user(tmp_path, [line])


def test_a_bomb_among_the_metrics_of_users_takes_no_memory(tmp_path):
    (tmp_path / "per_user").mkdir()
    path = tmp_path / "per_user" / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.npy", bytes(2**28 + 1))
    with pytest.raises(UserError, match=r"a\.npz: user\.npy declares 268435457 bytes"):
        read_per_user(tmp_path, [result("a")])


def test_a_member_that_is_no_array_is_refused(tmp_path):
    (tmp_path / "per_user").mkdir()
    with zipfile.ZipFile(tmp_path / "per_user" / "a.npz", "w") as archive:
        archive.writestr("user", b"text")
    with pytest.raises(UserError, match=r"a\.npz: has no 'recall@20'"):
        read_per_user(tmp_path, [result("a")])
