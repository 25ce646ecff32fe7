from __future__ import annotations

import pytest

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs.task import Task, perform
from mmgraph.bench.spec import parse_spec
from mmgraph.train.checkpoint import FILE_NAME

WHERE = {"data": "toy", "data_sha256": "0", "device": "cpu"}
TIMES = {"seconds_per_epoch", "seconds_per_evaluation", "peak_memory_bytes"}


def without_times(rows):
    return [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in rows]


def task(text, **options):
    run = run_config(parse_spec(text))
    return Task(run, 3, run.key(3, "0"), **options)


@pytest.mark.parametrize(
    "text",
    [
        "MF-BPR:embedding_dim=4,epochs=3,lr=0.05",
        "FREEDOM+CLEAR:embedding_dim=4,epochs=3,rank=2",
        "DualGNN:embedding_dim=4,epochs=2",
        "SEA:embedding_dim=4,epochs=2",
    ],
)
def test_training_then_testing_gives_what_one_run_gives(splits, tmp_path, text):
    whole = perform(task(text), splits, **WHERE)
    chosen = perform(task(text, test=False), splits, **WHERE)
    assert "test" not in chosen.line["metrics"]
    assert chosen.per_user is None
    (tmp_path / FILE_NAME).write_bytes(chosen.trained)
    tested = perform(task(text, trained=tmp_path), splits, **WHERE)
    for key, value in whole.line.items():
        assert key in TIMES or tested.line[key] == value
    for name, values in whole.per_user.items():
        assert tested.per_user[name].tolist() == values.tolist()
    assert whole.trained is tested.trained is None
    assert chosen.history is None
    assert without_times(tested.history) == without_times(whole.history)
    assert len(whole.history) == whole.line["epochs"]


def test_a_task_says_what_it_is():
    assert str(task("VBPR:epochs=1")) == "VBPR:epochs=1 seed 3"
    assert task("VBPR").identity != task("VBPR", test=False).identity


@pytest.mark.parametrize("damage", ["flip", "another", "no"])
def test_parameters_that_were_kept_and_are_damaged_are_trained_again(
    splits, tmp_path, damage, caplog
):
    text = "MF-BPR:embedding_dim=4,epochs=2"
    whole = perform(task(text), splits, **WHERE)
    other = text + ",lr=0.5" if damage == "another" else text
    kept = bytearray(perform(task(other, test=False), splits, **WHERE).trained)
    if damage == "flip":
        kept[-5] ^= 1
    (tmp_path / FILE_NAME).write_bytes(kept)
    tested = perform(task(text, trained=tmp_path), splits, **WHERE)
    assert tested.line["metrics"] == whole.line["metrics"]
    assert without_times(tested.history) == without_times(whole.history)
    assert ("training it again" in caplog.text) == (damage != "no")
