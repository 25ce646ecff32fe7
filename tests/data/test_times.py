from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from mmgraph.data.times import as_times, parse_times
from mmgraph.errors import UserError

PATH = Path("t.csv")


def test_times_of_parquet():
    stamps = pa.array([0, 1], pa.timestamp("s"))
    assert parse_times(stamps, PATH, 1).tolist() == [0, 10**9]
    assert parse_times(pa.array([1.5, 2.0]), PATH, 1).tolist() == [1.5, 2.0]
    with pytest.raises(UserError, match=r"t.csv:2: timestamp is not finite"):
        parse_times(pa.array([1.5, float("nan")]), PATH, 1)


DATES = ["2020-01-01", "9999-12-31", "2020-01-02"]
OUTSIDE = "timestamp 9999-12-31 is outside the years 1678 to 2261 - write whole numbers"


@pytest.mark.parametrize(
    "column",
    [
        pa.array(DATES),
        pa.array(DATES, pa.large_string()),
        pa.array(DATES).dictionary_encode(),
        pa.array([date.fromisoformat(d) for d in DATES], pa.date32()),
        pa.array([date.fromisoformat(d) for d in DATES], pa.date64()),
        pa.array([datetime.fromisoformat(d) for d in DATES], pa.timestamp("us")),
    ],
)
def test_a_date_beyond_2262_is_refused_by_row_and_never_wraps(column):
    with pytest.raises(UserError, match=f"^t.csv:3: {OUTSIDE}"):
        parse_times(column, PATH, 2)
    with pytest.raises(
        UserError, match=r"^timestamp 1 \(counted from 0\) 9999-12-31 is"
    ):
        as_times(column)


def test_strings_as_pandas_writes_them_are_dates():
    days = pa.array(["1970-01-02", "1970-01-01T02:00+02:00"], pa.large_string())
    assert parse_times(days, PATH, 1).tolist() == [86_400 * 10**9, 0]


@pytest.mark.parametrize("values", [["5", str(2**64 - 1)], ["5", str(2**63)]])
def test_unsigned_times_of_half_the_range_do_not_turn_negative(values):
    message = f"^t.csv:2: timestamp {values[1]} does not fit into int64 - mend it"
    with pytest.raises(UserError, match=message):
        parse_times(pa.array(values), PATH, 1)
    with pytest.raises(UserError, match=message):
        parse_times(pa.array([int(v) for v in values], pa.uint64()), PATH, 1)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1], pa.time64("us")),
        pa.array([1], pa.duration("s")),
        pa.array([True]),
        pa.array([b"1"]),
        pa.array([[1]]),
    ],
)
def test_times_of_day_and_durations_are_no_points_in_time(column):
    with pytest.raises(UserError, match=r"^t.csv: times are .*, not points in time - "):
        parse_times(column, PATH, 1)


@pytest.mark.parametrize("word", ["now", "today", "-2020-01-01"])
def test_words_that_pandas_takes_for_dates_are_refused(word):
    with pytest.raises(UserError, match=f"t.csv:2: timestamp '{word}' is no number or"):
        parse_times(pa.array([word]), PATH, 2)


def test_whole_numbers_lose_no_digit():
    large = str(2**53 + 1)
    assert parse_times(pa.array([large]), PATH, 2).tolist() == [2**53 + 1]
    with pytest.raises(UserError, match=rf"t.csv:2: timestamp {large} loses its last"):
        parse_times(pa.array([large, "0.5"]), PATH, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, np.nan]), r"timestamp 1 .counted from 0. is not finite"),
        ([1.0, float("nan")], "timestamp 1 .counted from 0. is missing - fill it in"),
        (np.array(["2020", "NaT"], "M8[s]"), "timestamp 1 .* is missing"),
        ([datetime(2020, 1, 1), None], "timestamp 1 .* is missing"),
        ([datetime(2020, 1, 1), 0], "no times of one kind .several types."),
        ([2**64, 1], "no times of one kind"),
        (np.array([1], "M8[ps]"), r"are datetime64\[ps\] - convert them to ns"),
        (np.array([9000], "M8[Y]"), "timestamp 0 .* 10970-01-01 is outside"),
    ],
)
def test_times_of_the_api_that_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        as_times(values)


@pytest.mark.parametrize(
    "values",
    [
        np.array(["1970-01-02"], "M8[D]"),
        np.array(["1970-01-02"], ">M8[ns]"),
        np.array([24], "M8[h]"),
        [date(1970, 1, 2)],
        [datetime(1970, 1, 2, 2, tzinfo=timezone(timedelta(hours=2)))],
        [pd.Timestamp("1970-01-02")],
        ["1970-01-02"],
        pd.Series(["1970-01-02"], dtype="category"),
        pd.Series(pd.to_datetime(["1970-01-02"])).dt.tz_localize("UTC"),
        np.array([86_400 * 10**9], ">i8"),
        torch.tensor([86_400 * 10**9]),
    ],
)
def test_every_way_to_say_the_second_of_january(values):
    assert as_times(values).tolist() == [86_400 * 10**9]


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_a_number_of_any_length_is_refused_in_a_short_line(digits):
    for text in ("9" * digits, "-" + "9" * digits, "1" + "0" * digits):
        with pytest.raises(UserError, match=r"timestamp 1 .* does not fit into int64"):
            as_times(["1", text])
    assert as_times(["1", "-" + "0" * digits + "7"]).tolist() == [1, -7]
    with pytest.raises(UserError) as caught:
        as_times(["9" * digits])
    assert len(str(caught.value)) < 150
