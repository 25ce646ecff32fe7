from __future__ import annotations

from typing import get_type_hints

import pytest
from reference.result_lines import point, result

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.floors.popularity_line import popularity_line
from mmgraph.bench.records import (
    GridPoint,
    ResultLine,
    RunInfo,
    fault_of_point,
    fault_of_result,
    is_key,
)
from mmgraph.bench.spec import parse_spec
from mmgraph.options import fits


def test_lines_have_the_keys_and_types_of_the_record(splits):
    run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
    where = {"data": "toy", "data_sha256": "0"}
    trained = run_experiment(run, splits, device="cpu", **where).line
    kinds = get_type_hints(ResultLine)
    # Older lines lack the hash of the interactions, and which numbers seeds draw.
    for line, later in (
        (trained, {"interactions_sha256", "draws"}),
        (popularity_line(splits, **where), {"interactions_sha256"}),
    ):
        assert line.keys() == ResultLine.__required_keys__ | later
        for name, value in line.items():
            assert fits(value, kinds[name]), name


def test_run_json_is_a_line_of_results_and_where_the_data_are():
    more = {"status", "data_location", "split_rule", "split_seed"}
    assert RunInfo.__required_keys__ == ResultLine.__required_keys__ | more
    assert GridPoint.__optional_keys__ == {"best_epoch", "epochs", "error"}


def test_what_a_run_leaves_has_no_fault(splits):
    run = run_config(parse_spec("MF-BPR:embedding_dim=4,epochs=1"))
    where = {"data": "toy", "data_sha256": "0"}
    trained = run_experiment(run, splits, device="cpu", **where).line
    assert fault_of_result(trained) is None
    assert fault_of_result(popularity_line(splits, **where)) is None
    of_before = {"chosen": {}, "tried": 2}
    for selection in (of_before, {**of_before, "seeds": 3}):
        assert fault_of_result(result("a", selection=selection)) is None
    assert fault_of_point(point("a", None)) is None


@pytest.mark.parametrize("key", ["a", "Popularity-0f", "0" * 64, "x" * 200, "a.b_c"])
def test_plain_words_are_keys(key):
    assert is_key(key)
    assert fault_of_result(result(key)) is None
    assert fault_of_point(point(key, 0.5)) is None


WRONG_KEYS = (
    *("", ".", "..", "../x", "../../x", "/etc/passwd", "a/b", "a\\b", "a\0b"),
    *("x" * 201, ".hidden", "a\nb", "é", "a b", "~"),
)


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_what_could_be_a_path_is_no_key(key):
    assert not is_key(key)
    assert fault_of_result(result(key)) == f"{key!r:.80} is no key of a run"
    assert fault_of_point(point(key, 0.5)) == f"{key!r:.80} is no key of a run"


WRONG = {
    "key": [5, None, ["a"]],
    "spec": [None, 5, "", "+", "A@nowhere"],
    "plugin": [5],
    "seed": ["1", 1.5, True],
    "data_sha256": [None, 5],
    "options": [None, [], "a"],
    "trainer": [None, 3],
    "counts": [None, {}, {"users": 1.5}, {"users": "many"}],
    "metrics": [
        *({}, {"valid": {}, "test": {}}, {"test": {"recall@20": 0.5}}, None, 5),
        {"valid": None, "test": None},
        {"valid": {"recall@20": float("nan")}},
    ],
    "epochs": ["3", 1.5, None, True],
    "seconds_per_epoch": ["zz", None, float("inf"), float("nan")],
    "peak_memory_bytes": ["zz", 0.5],
    "versions": [[], {"a": 1}],
    "selection": [
        {},
        5,
        {"chosen": {}},
        {"chosen": [], "tried": 1},
        {"chosen": {}, "tried": 1, "seeds": "3"},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]]
)
def test_a_value_of_another_kind_is_named(name, value):
    fault = fault_of_result({**result("a"), name: value})
    assert name.rstrip("s") in fault
    assert "\n" not in fault


@pytest.mark.parametrize("value", [-0.1, 1.1, 1e300])
def test_a_metric_beyond_a_ratio_is_named(value):
    metrics = result("a")["metrics"]
    wrong = metrics | {"test": metrics["test"] | {"ndcg@10": value}}
    fault = fault_of_result(result("a", metrics=wrong))
    assert fault == f"'test ndcg@10' cannot be {value!r}"


@pytest.mark.parametrize("name", sorted(ResultLine.__required_keys__))
def test_a_key_that_is_missing_is_named(name):
    line = result("a")
    del line[name]
    assert fault_of_result(line) == f"the line has no {name!r}"
