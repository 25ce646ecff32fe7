from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmgraph.data import fingerprint, import_dataset
from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


def log(folder, rows, header="user,item,time"):
    (folder / "log.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "log.csv"


def test_dates_of_any_format_are_read_if_it_is_said(tmp_path):
    days = ["31/01/2025 10:00", "01/03/2025 00:30", "2025-03-02", "02/13/2025 1:00"]
    path = log(tmp_path, [f"u,i{n},{day}" for n, day in enumerate(days)])
    with pytest.raises(UserError, match=r"log.csv:2: .*say how times are written \(--"):
        import_dataset(path, split="temporal")
    form = TableFormat(times="%d/%m/%Y %H:%M")
    kind = "timestamp is not written as %d/%m/%Y %H:%M"
    with pytest.raises(UserError, match=f"log.csv:4: .*2 x {kind} .first in row 4. - "):
        import_dataset(path, form=form, split="none")
    words = {"form": form, "bad_rows": "drop", "split": "none", "until": "2025-03-01"}
    (train, *_), report = import_dataset(path, **words)
    first = np.datetime64("2025-01-31T10:00", "ns").astype(int)
    assert train[INTERACTS].time.tolist() == [first]
    assert [(each.kind, each.rows) for each in report.left] == [
        (kind, 2),
        ("not before 2025-03-01", 1),
    ]
    with pytest.raises(UserError, match="cannot read times by '%Q' "):
        import_dataset(path, form=TableFormat(times="%Q"), split="none")
    path = log(tmp_path, ["u,a"], header="user,item")
    with pytest.raises(UserError, match="no column of times, which --time-format ne"):
        import_dataset(path, form=form, split="none")


@pytest.mark.parametrize("zone", ["", "+0200"])
def test_formats_give_what_iso_dates_give(tmp_path, zone):
    stamps = pd.date_range("2025-01-28", periods=9, freq="17h")
    found = []
    for written, is_iso in (("%d.%m.%y %I:%M %p", False), ("%Y-%m-%dT%H:%M", True)):
        texts = stamps.strftime(written + zone)
        path = log(tmp_path, [f"u,i{n},{text}" for n, text in enumerate(texts)])
        times = None if is_iso else written + ("%z" if zone else "")
        splits, _ = import_dataset(path, form=TableFormat(times=times), split="none")
        found.append((fingerprint(*splits), "time" in splits[0][INTERACTS]))
    assert found[0] == found[1]
    assert found[0][1]


def test_times_that_are_no_text_have_no_format(tmp_path):
    frame = pd.DataFrame({"user": ["u"], "item": ["a"], "time": [7]})
    frame.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(UserError, match="the times are int64, which have no format"):
        import_dataset(
            tmp_path / "log.parquet", form=TableFormat(times="%Y"), split="none"
        )
