from __future__ import annotations

import logging

import numpy as np
import pytest

from mmgraph.data import from_interactions, line_up_features, load_dataset
from mmgraph.data.overlap import log_overlap


def lines(caplog, level):
    return [r.getMessage() for r in caplog.records if r.levelno == level]


@pytest.fixture(autouse=True)
def _everything(caplog):
    caplog.set_level(logging.INFO)


def test_ids_that_lost_their_zeros_are_warned_of_with_all_counts(tmp_path, caplog):
    items = [f"{n:04d}" for n in range(0, 1500, 100)]  # 0000, 0100, ..., 1400
    rows = [f"u,{item},{n % 3}" for n, item in enumerate(items)]
    table = tmp_path / "interactions.csv"
    table.write_text("\n".join(["user,item,split", *rows]) + "\n")
    ids = np.array([str(int(item)) for item in items])  # five of them still have four
    np.savez(tmp_path / "visual.npz", features=np.eye(15), ids=ids)
    load_dataset(tmp_path)
    assert lines(caplog, logging.WARNING) == [
        f"{tmp_path / 'visual.npz'}: 10 of 15 rows are of items that the table of "
        "interactions lacks, first '0'; 10 of them differ in leading zeros alone; "
        "10 of its 15 items without a row"
    ]


def test_items_without_a_row_are_counted_without_a_warning(caplog):
    log_overlap(np.array([2]), np.array([1, 2, 3]), label="a.npz", known_label="it")
    assert lines(caplog, logging.INFO) == [
        "a.npz: 2 of the 3 items of it without a row"
    ]
    assert not lines(caplog, logging.WARNING)


def test_tables_that_meet_say_nothing(caplog):
    log_overlap(np.array(["2", "1"]), np.array([1, 2]), label="a", known_label="it")
    assert not caplog.records


def test_modalities_of_different_items_are_no_fault_but_lost_zeros_are(
    tmp_path, caplog
):
    files = {name: tmp_path / f"{name}.npz" for name in ("a", "b", "c")}
    for name, ids in (("a", ["01", "x"]), ("b", ["x", "y"]), ("c", ["1", "x"])):
        np.savez(files[name], features=np.eye(2), ids=np.array(ids))
    line_up_features(files)
    assert len(lines(caplog, logging.INFO)) == 1
    (warning,) = lines(caplog, logging.WARNING)
    assert warning.startswith(f"{files['c']}: 1 of 2 rows are of items that a.npz lack")


def test_the_api_warns_too(caplog):
    from_interactions(
        ["u", "u"], ["x", "y"], features={"a": [[1.0]]}, feature_ids={"a": ["z"]}
    )
    assert lines(caplog, logging.WARNING) == [
        "a features: 1 of 1 rows are of items that the table of interactions lacks, "
        "first 'z'; 2 of its 2 items without a row"
    ]
