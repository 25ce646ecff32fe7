from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmgraph.data import fingerprint, import_dataset, load_dataset, read_catalogue
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.data.splits import split_dataset
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


def log(folder, rows, header="user,item,time"):
    (folder / "log.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "log.csv"


def test_a_clean_table_is_what_read_catalogue_reads(tmp_path):
    path = log(tmp_path, [f"u{n % 7},i{n // 7},{n}" for n in range(70)])
    np.save(tmp_path / "x.npz", np.eye(10))
    np.savez(tmp_path / "x.npz", features=np.eye(10), ids=[f"i{n}" for n in range(10)])
    files = {"visual": tmp_path / "x.npz"}
    splits, report = import_dataset(path, files, split="per_user", seed=3)
    data = read_catalogue(path, files, labels=False)
    assert fingerprint(*splits) == fingerprint(*split_dataset(data, "per_user", seed=3))
    assert (report.rows, report.taken, report.left) == (70, 70, [])


@pytest.mark.parametrize(("duplicates", "times"), [("first", [0, 1]), ("last", [1, 9])])
def test_repeats_are_counted_and_one_is_kept(tmp_path, duplicates, times):
    path = log(tmp_path, ["u,a,0", "u,b,1", "u,a,9", "u,a,9"])
    (train, *_), report = import_dataset(path, duplicates=duplicates, split="none")
    assert sorted(train[INTERACTS].time.tolist()) == times
    kind = f"pair that occurs again (the {duplicates} is kept)"
    assert [(each.kind, each.rows) for each in report.left] == [(kind, 2)]
    with pytest.raises(UserError, match=r"occur twice .rows 2 and 4.; 2 rows repeat"):
        import_dataset(path, split="none")


def test_a_core_leaves_users_items_and_their_features_out(tmp_path):
    rows = [f"u{n % 4},i{n // 4},{n}" for n in range(20)] + ["w,i0,1", "u0,z,1"]
    np.savez(
        tmp_path / "x.npz",
        features=np.eye(7, 6),
        ids=[*"zy", *map("i{}".format, range(5))],
    )
    (train, *_), report = import_dataset(
        log(tmp_path, rows),
        {"visual": tmp_path / "x.npz"},
        min_interactions=3,
        split="none",
    )
    assert train["item"].raw_id.tolist() == [f"i{n}" for n in range(5)]
    assert train["user"].raw_id.tolist() == [f"u{n}" for n in range(4)]
    assert train["item"].x_visual.shape == (5, 6)
    left = [(each.kind, each.rows) for each in report.left]
    assert left == [("outside the 3-core (1 users and 2 items)", 2)]


def test_a_column_of_times_that_is_named_must_be_readable(tmp_path):
    path = log(tmp_path, ["u,a,1", "u,b,soon"])
    (train, *_), _ = import_dataset(path, split="none")
    assert "time" not in train[INTERACTS]
    with pytest.raises(UserError, match=r"log.csv:3: timestamp 'soon' is no number"):
        import_dataset(path, form=TableFormat({"time": "time"}), split="none")


def test_times_outside_a_range_are_left_out(tmp_path):
    days = [f"2025-0{month}-15" for month in range(1, 9)]
    path = log(tmp_path, [f"u,i{n},{day}" for n, day in enumerate(days)])
    words = {"since": "2025-03-15", "until": "2025-06-01", "split": "none"}
    (train, *_), report = import_dataset(path, **words)
    stamps = np.array(days[2:5], "datetime64[ns]").astype(int).tolist()
    assert sorted(train[INTERACTS].time.tolist()) == stamps
    assert [each.to_json() for each in report.left] == [
        {"kind": kind, "rows": rows, "first_row": row, "file": "log.csv"}
        for kind, rows, row in (
            ("before 2025-03-15", 2, 2),
            ("not before 2025-06-01", 3, 7),
        )
    ]
    frame = pd.read_csv(path, parse_dates=["time"])
    frame.to_parquet(tmp_path / "log.parquet")
    (again, *_), _ = import_dataset(tmp_path / "log.parquet", **words)
    assert fingerprint(again, again, again) == fingerprint(train, train, train)
    with pytest.raises(UserError, match=r"none of the 8 rows is taken: before 2030"):
        import_dataset(path, since="2030", split="none")


def test_a_range_is_written_as_the_times_are(tmp_path):
    path = log(tmp_path, ["u,a,978300000", "u,b,978300900"])
    (train, *_), _ = import_dataset(path, until="978300900", split="none")
    assert train[INTERACTS].time.tolist() == [978300000]
    message = (
        r"log.csv: --since is '2001-01-01', which is no time like those of the table - "
        r"write it as they are: 978300000"
    )
    with pytest.raises(UserError, match=message):
        import_dataset(path, since="2001-01-01", split="none")
    path = log(tmp_path, ["u,a,2001-01-01", "u,b,soon"])
    with pytest.raises(UserError, match=r"log.csv:3: timestamp 'soon' is no number"):
        import_dataset(path, since="2001-01-01", split="none")
    path = log(tmp_path, ["u,a"], header="user,item")
    with pytest.raises(UserError, match=r"no column of times, which --since needs - n"):
        import_dataset(path, since="2001-01-01", split="none")


def test_a_table_of_bad_rows_alone_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"log.csv:2: none of the 2 rows is taken: e"):
        import_dataset(log(tmp_path, [",a,1", ",b,2"]), bad_rows="drop", split="none")


def test_an_imported_folder_can_be_imported_again(tmp_path):
    from mmgraph.data import synthetic, write_dataset

    *splits, _ = synthetic(num_users=50, num_items=40)
    write_dataset(*splits, tmp_path / "shop")
    again, _ = import_dataset(tmp_path / "shop")
    assert fingerprint(*again) == fingerprint(*load_dataset(tmp_path / "shop"))
