"""Whatever is read: right, as a slow second route reads it, or refused by name.

``MMGRAPH_EXAMPLES=5000 pytest tests/data/test_any_input.py`` draws that many inputs of
each kind.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import struct
import tempfile
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from mmgraph.data import (
    from_interactions,
    load_dataset,
    open_features,
    read_features,
    read_interactions,
)
from mmgraph.data.formats import budget
from mmgraph.data.formats.layout import feature_files, interactions_file
from mmgraph.data.ids import as_ids, match_ids
from mmgraph.data.times import as_times
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS

INT64 = (-(2**63), 2**63 - 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("any")


def attempt(read, path, *, rows=False):
    """Result and None, or None and the error, which must be in one line by name."""
    try:
        return read(path), None
    except UserError as error:
        message = str(error)
        assert message.startswith(str(path)), message
        assert "\n" not in message.removeprefix(str(path)), message
        assert " - " in message
        if rows:
            assert re.match(rf"{re.escape(str(path))}:\d+: ", message), message
        return None, error


def attempt_api(read, values):
    try:
        return read(values), None
    except UserError as raised:
        error = raised
    assert "\n" not in str(error)
    return None, error


# --- times -------------------------------------------------------------------


def nanoseconds(moment):
    """Exactly, or None where int64 ends."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    return passed if abs(passed) < 2**63 else None


zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(
    datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.none() | zones
)
whole = st.integers(-(2**65), 2**65) | st.integers(-5, 5)
number_texts = st.one_of(
    whole.map(str),
    st.integers(0, 2**60).map(lambda n: f"+{n}"),
    st.integers(0, 2**60).map(lambda n: f"00{n}"),
    st.floats(allow_nan=True).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
)
date_texts = moments.map(datetime.isoformat) | st.dates().map(date.isoformat)
JUNK = """soon now today -2020-01-01 5x NaT 0x10 1_0 nan - 2020-13-01 2020-02-30 24:00
2020-W01 1e . inf 1,5"""
junk_texts = st.sampled_from(["", *JUNK.split()])


def slow_times(texts):
    """The values, or None where they must be refused."""
    number = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I | re.A)
    if number.fullmatch(texts[0]):
        if not all(number.fullmatch(text) for text in texts):
            return None
        if all(re.fullmatch(r"[+-]?\d+", text) for text in texts):
            values = [int(text) for text in texts]
            return values if all(INT64[0] <= v <= INT64[1] for v in values) else None
        values = [float(text) for text in texts]
        for text, value in zip(texts, values, strict=True):
            exact = "." not in text and "e" not in text.lower()
            if not np.isfinite(value) or (exact and int(text) != int(value)):
                return None
        return values
    values = []
    for text in texts:
        try:
            is_day = re.match(r"\d{4}-\d\d-\d\d", text)  # no weeks
            read = nanoseconds(datetime.fromisoformat(text)) if is_day else None
        except ValueError:
            read = None
        if read is None:
            return None
        values.append(read)
    return values


@given(
    st.one_of(
        st.lists(number_texts, min_size=1, max_size=4),
        st.lists(date_texts, min_size=1, max_size=4),
        st.lists(number_texts | date_texts | junk_texts, min_size=1, max_size=3),
    ),
    st.sampled_from(["csv", "string", "large_string", "dictionary", "api"]),
)
def test_times_as_text(folder, texts, form):
    texts = [text.replace(",", ";") for text in texts]
    expected = slow_times(texts)
    if form == "api":
        times, error = attempt_api(as_times, texts)
        assert (error is None) == (expected is not None), (error, expected)
        assert error or times.tolist() == expected
        return
    path = folder / ("t.csv" if form == "csv" else "t.parquet")
    if form == "csv":
        rows = [f"u,{n},{text}" for n, text in enumerate(texts)]
        path.write_text("\n".join(["user,item,time", *rows]) + "\n", newline="")
    else:
        kind = {
            "string": pa.string(),
            "large_string": pa.large_string(),
            "dictionary": pa.dictionary(pa.int8(), pa.string()),
        }[form]
        write_times(path, pa.array(texts).cast(kind))
    table, error = attempt(read_interactions, path, rows=True)
    assert (error is None) == (expected is not None), (error, expected)
    if expected is not None:
        assert table.time.tolist() == expected


def write_times(path, column):
    n = len(column)
    pq.write_table(
        pa.table({"user": ["u"] * n, "item": list(range(n)), "time": column}), path
    )


UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
counts = st.lists(
    st.integers(*INT64) | st.integers(-(10**10), 10**10), min_size=1, max_size=4
)


@given(
    counts,
    st.sampled_from(sorted(UNITS)),
    st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_time_stamps_of_parquet(folder, values, unit, zone):
    column = pa.array(values, pa.int64()).view(pa.timestamp(unit, zone))
    path = folder / "t.parquet"
    try:
        write_times(path, column)
    except pa.ArrowInvalid:  # the writer wants no seconds beyond milliseconds
        return
    table, error = attempt(read_interactions, path, rows=True)
    expected = [value * UNITS[unit] for value in values]
    if all(abs(value) < 2**63 for value in expected):
        assert table.time.tolist() == expected
    else:
        assert "is outside the years 1678 to 2261" in str(error)


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4), st.booleans()
)
def test_dates_of_parquet(folder, days, is_short):
    if is_short:
        column = pa.array(days, pa.int32()).view(pa.date32())
    else:
        ms = pa.array([day * 86_400_000 for day in days], pa.int64())
        column = ms.view(pa.date64())
    write_times(folder / "t.parquet", column)
    table, error = attempt(read_interactions, folder / "t.parquet", rows=True)
    expected = [day * 86_400 * 10**9 for day in days]
    fits = all(abs(value) < 2**63 for value in expected)
    assert (error is None) == fits
    assert not fits or table.time.tolist() == expected


arrow_numbers = st.sampled_from(
    [
        getattr(pa, f"{sign}int{bits}")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    ]
).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.lists(
            st.integers(
                *(
                    (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
                    if pa.types.is_signed_integer(kind)
                    else (0, 2**kind.bit_width - 1)
                )
            ),
            min_size=1,
            max_size=4,
        ),
    )
)


@given(arrow_numbers)
def test_whole_times_of_every_width_and_sign(folder, drawn):
    kind, values = drawn
    write_times(folder / "t.parquet", pa.array(values, kind))
    table, error = attempt(read_interactions, folder / "t.parquet", rows=True)
    fits = max(values) < 2**63
    assert (error is None) == fits
    assert not fits or table.time.tolist() == values


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=4),
    st.sampled_from([pa.float32(), pa.float64()]),
)
def test_fractions_of_parquet(folder, values, kind):
    write_times(folder / "t.parquet", pa.array(values, kind))
    table, error = attempt(read_interactions, folder / "t.parquet", rows=True)
    finite = bool(np.isfinite(values).all())
    assert (error is None) == finite
    assert not finite or table.time.tolist() == values


@given(
    st.lists(st.decimals(places=3, min_value=-(10**12), max_value=10**12), min_size=1)
)
def test_decimals_of_parquet(folder, values):
    write_times(folder / "t.parquet", pa.array(values, pa.decimal128(20, 3)))
    table, _ = attempt(read_interactions, folder / "t.parquet")
    assert table.time.tolist() == [float(value) for value in values]


@given(
    st.sampled_from(
        [
            pa.array([1], pa.time64("us")),
            pa.array([1], pa.time32("s")),
            pa.array([1], pa.duration("s")),
            pa.array([b"1"], pa.binary()),
            pa.array([[1]]),
            pa.array([["a"]]),
            pa.array([{"a": 1}]),
            pa.array([True]),
            pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            pa.array([b"ab"], pa.binary(2)),
            pa.array([Decimal(1)], pa.decimal128(3, 0)),
        ]
    ),
    st.sampled_from(["user", "item", "time", "split"]),
)
def test_columns_of_odd_types_are_read_or_refused(folder, column, role):
    columns = {"user": ["u"], "item": ["i"], "time": [1], "split": ["train"]}
    pq.write_table(pa.table({**columns, role: column}), folder / "t.parquet")
    table, error = attempt(read_interactions, folder / "t.parquet")
    if error is None:
        assert pa.types.is_decimal(column.type)
        assert role in ("time", "split")
        assert (table.time if role == "time" else table.label).tolist() == [1]


datetime_units = st.sampled_from(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns"])


@given(
    st.lists(st.integers(-(2**62), 2**62) | st.integers(-700, 700), min_size=1),
    datetime_units,
    st.sampled_from("<>"),
)
def test_datetimes_of_numpy(values, unit, order):
    array = np.array(values, dtype=f"{order}i8").view(f"{order}M8[{unit}]")
    per_unit = {"W": 7 * 86_400, "D": 86_400, "h": 3600, "m": 60}
    if unit in ("Y", "M"):
        months = [value * (12 if unit == "Y" else 1) for value in values]
        expected = [
            (date(1970 + m // 12, m % 12 + 1, 1) - date(1970, 1, 1)).days
            * 86_400
            * 10**9
            if -12 * 1969 <= m < 12 * 8000
            else 2**70
            for m in months
        ]
    else:
        factor = UNITS.get(unit) or per_unit[unit] * 10**9
        expected = [value * factor for value in values]
    times, error = attempt_api(as_times, array)
    assert (error is None) == (max(map(abs, expected)) < 2**63), error
    assert error or times.tolist() == expected


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**70), 2**70),
            st.floats(),
            moments,
            st.dates(),
            number_texts,
            st.none(),
            st.booleans(),
            st.binary(max_size=3),
            st.just([1]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_list_of_times_in_the_api(values):
    kinds = {type(value) for value in values}
    if kinds == {list}:
        with pytest.raises(ValueError, match="must be one-dimensional"):
            as_times(values)
        return
    times, error = attempt_api(as_times, values)
    if kinds == {int}:
        expected = values if all(INT64[0] <= v <= INT64[1] for v in values) else None
    elif kinds == {float}:
        expected = values if np.isfinite(values).all() else None
    elif kinds == {date}:
        expected = [nanoseconds(datetime(v.year, v.month, v.day)) for v in values]
    elif kinds == {datetime} and len({v.tzinfo is None for v in values}) == 1:
        expected = [nanoseconds(value) for value in values]
    elif kinds == {str}:
        expected = slow_times(values)
    else:
        assert error or kinds == {int, float}
        assert error or times.tolist() == values
        return
    expected = None if expected is None or None in expected else expected
    assert (error is None) == (expected is not None), error
    assert error or times.tolist() == expected


# --- ids ---------------------------------------------------------------------

id_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**65), 2**65),
            id_texts,
            st.none(),
            st.floats(),
            st.booleans(),
            st.binary(max_size=2),
        ),
        max_size=4,
    ),
    st.sampled_from([list, tuple, lambda v: np.array(v, dtype=object)]),
)
def test_any_ids_of_the_api_keep_their_spelling(values, hold):
    ids, error = attempt_api(as_ids, hold(values))
    if error is not None:
        if all(type(value) is int for value in values):
            assert any(not INT64[0] <= value <= INT64[1] for value in values)
        elif all(type(value) is str for value in values):
            assert any("\0" in value for value in values)
        return
    assert all(type(value) in (int, str) for value in values)
    assert ids.astype(str).tolist() == [str(value) for value in values]


@given(st.lists(id_texts, min_size=1, max_size=4), st.sampled_from(["csv", "parquet"]))
def test_any_ids_of_a_table_stay_apart(folder, ids, form):
    path = folder / f"ids.{form}"
    users = [f"u{n}" for n in range(len(ids))]
    if form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerows([("user", "item"), *zip(users, ids, strict=True)])
    else:
        pq.write_table(pa.table({"user": users, "item": ids}), path)
    table, error = attempt(read_interactions, path)
    if error is None:
        assert table.item.astype(str).tolist() == ids
    else:
        assert any("\0" in i or i == "" or "\n" in i or "\r" in i for i in ids), error


@given(
    st.lists(st.text("ab\0", max_size=3), min_size=1, max_size=4),
    st.sampled_from([".npz", ".parquet", ".safetensors"]),
)
def test_ids_of_a_feature_file(folder, ids, suffix):
    path, x = folder / f"f{suffix}", np.ones((len(ids), 2), np.float32)
    if suffix == ".npz":
        np.savez(path, features=x, ids=np.array(ids))
        ids = np.array(ids).tolist()  # NumPy has cut off what was NUL
    elif suffix == ".parquet":
        pq.write_table(pa.table({"item_id": ids, "x": x[:, 0]}), path)
    else:
        ids = list(range(len(ids)))
        numbers = torch.tensor(ids)
        save_file({"features": torch.from_numpy(x), "ids": numbers}, path)
    result, error = attempt(read_features, path)
    if error is None:
        assert result[1].tolist() == ids
    else:
        assert any("\0" in each for each in ids)


@given(arrow_numbers)
def test_whole_ids_of_every_width_and_sign(folder, drawn):
    kind, values = drawn
    users = [f"u{n}" for n in range(len(values))]
    path = folder / "t.parquet"
    pq.write_table(pa.table({"user": users, "item": pa.array(values, kind)}), path)
    table, error = attempt(read_interactions, path, rows=True)
    assert (error is None) == (max(values) < 2**63)
    assert error or table.item.tolist() == values


@given(
    st.lists(st.integers(-20, 20) | st.text("01a", min_size=1, max_size=2), max_size=6),
    st.lists(st.text("01a-", max_size=2), unique=True, max_size=6),
)
def test_ids_meet_by_their_spelling(ids, known):
    expected = [known.index(str(i)) if str(i) in known else -1 for i in ids]
    assert match_ids(as_ids(known), as_ids(ids)).tolist() == expected


# --- tables ------------------------------------------------------------------


def slow_table(path):
    """User and item spellings by the csv module; None where it finds no table."""
    text = path.read_bytes().decode("utf-8-sig", "replace")  # in columns not read
    comma = path.suffix == ".csv"
    rows = list(
        csv.reader(
            io.StringIO(text, newline=""),
            delimiter="," if comma else "\t",
            quoting=csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE,
        )
    )
    while rows and not rows[-1]:
        rows.pop()
    header = [name.lower() for name in rows[0]]
    user, item = header.index("user"), header.index("item")
    return [(row[user], row[item]) for row in rows[1:]]


cells = st.text(st.sampled_from("ab7é\"' \t,;#\\\r\n\0\ufeff"), max_size=3)


@given(
    st.lists(st.lists(cells, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from([".csv", ".tsv", ".inter"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_any_text_is_read_as_the_csv_module_reads_it(folder, rows, suffix, end, bom):
    path = folder / f"any{suffix}"
    comma = "," if suffix == ".csv" else "\t"
    lines = [comma.join(["user", "item"]), *(comma.join(row) for row in rows)]
    path.write_bytes((bom + end.join(lines) + end).encode())
    table, error = attempt(lambda p: read_interactions(p, duplicates="first"), path)
    if error is None:
        pairs = list(dict.fromkeys(slow_table(path)))
        assert (
            list(zip(table.user.astype(str), table.item.astype(str), strict=True))
            == pairs
        )


TABLE = "user,item,split,time\n" + "".join(
    f"u{n},i{n},{('train', 'valid', 'test')[n % 3]},{n}\n" for n in range(6)
)


@given(st.data(), st.sampled_from(["cut", "change", "insert"]))
def test_a_damaged_csv(folder, data, how):
    content = bytearray(TABLE.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        if how == "cut":
            del content[at:]
        elif how == "change":
            content[at] = data.draw(st.integers(0, 255))
        else:
            content[at:at] = data.draw(st.binary(max_size=3))
    path = folder / "damaged.csv"
    path.write_bytes(content)
    table, error = attempt(read_interactions, path)
    if error is None:
        assert list(
            zip(table.user.astype(str), table.item.astype(str), strict=True)
        ) == (slow_table(path))


@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
)
def test_encodings(folder, encoding):
    path = folder / "encoded.csv"
    path.write_text("user,item\né,1\nb,2\n", encoding=encoding, newline="")
    table, error = attempt(read_interactions, path)
    assert (error is None) == encoding.startswith("utf-8")
    assert error or table.user.tolist() == ["é", "b"]


NAMES = """user USER user_id item Item iid time date label split x us"er \ufeffuser"""
names = st.sampled_from(["", "item ", "user\0", *NAMES.split()])


@given(st.lists(names, min_size=1, max_size=5), st.sampled_from([".csv", ".parquet"]))
def test_any_header(folder, header, suffix):
    path = folder / f"header{suffix}"
    if suffix == ".csv":
        path.write_text(f"{','.join(header)}\n{','.join('0' * len(header))}\n")
    else:
        columns = [pa.array([0])] * len(header)
        pq.write_table(pa.table(columns, names=header), path)
    lower = [name.lower() for name in header]
    if suffix == ".csv":
        lower[0] = lower[0].removeprefix("\ufeff")
    number = {
        role: sum(name in spellings for name in lower)
        for role, spellings in {
            "user": ("user", "user_id"),
            "item": ("item", "iid"),
            "time": ("time", "date"),
            "split": ("split", "label"),
        }.items()
    }
    good = number["user"] == number["item"] == 1 and max(number.values()) == 1
    _, error = attempt(read_interactions, path)
    if not good:
        assert error is not None
    elif '"' not in "".join(header) and "\0" not in "".join(header):
        assert error is None, error


@given(
    st.lists(
        st.sampled_from(
            ["train", "VALID", "Test", "0", "1", "2", "val", "5", "", "1.0"]
        )
        | st.text("ab", max_size=2),
        min_size=1,
        max_size=4,
    )
)
def test_any_label_is_a_split_or_refused_and_ignored_where_it_is_not_asked(
    folder, labels
):
    path = folder / "labels.csv"
    rows = [f"u,{n},{label}" for n, label in enumerate(labels)]
    path.write_text("\n".join(["user,item,label", *rows]) + "\n")
    numbers = {"train": 0, "0": 0, "valid": 1, "1": 1, "val": 1, "test": 2, "2": 2}
    expected = [numbers.get(label.lower()) for label in labels]
    table, error = attempt(read_interactions, path, rows=True)
    assert (error is None) == (None not in expected)
    assert error or table.label.tolist() == expected
    assert read_interactions(path, labels=False).label is None


def mutate(draw, content):
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << draw(st.integers(0, 7))
    if draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


@pytest.fixture(scope="module")
def whole_files(folder):
    """A small good file of each kind."""
    x, ids = np.arange(12.0, dtype=np.float32).reshape(4, 3), list("abcd")
    np.save(folder / "good.npy", x)
    np.savez(folder / "good.npz", features=x, ids=np.array(ids))
    np.savez_compressed(folder / "packed.npz", features=x, ids=np.array(ids))
    save_file(
        {"features": torch.from_numpy(x), "ids": torch.arange(4)},
        folder / "good.safetensors",
    )
    columns = {"item_id": ids, "vector": list(x)}
    pq.write_table(pa.table(columns), folder / "good.parquet", compression="zstd")
    table = {
        "user": ids,
        "item": [1, 2, 3, 4],
        "split": ["train", "train", "valid", "test"],
        "timestamp": pa.array([1, 2, 3, 4], pa.timestamp("ms")),
    }
    pq.write_table(pa.table(table), folder / "table.parquet")
    pq.write_table(
        pa.table(table),
        folder / "plain.parquet",
        use_dictionary=False,
        compression="none",
    )
    return folder


@given(
    st.data(),
    st.sampled_from(
        ["good.npy", "good.npz", "packed.npz", "good.safetensors", "good.parquet"]
    ),
)
def test_a_damaged_feature_file(folder, whole_files, data, name):
    path = folder / f"damaged{Path(name).suffix}"
    path.write_bytes(mutate(data.draw, (whole_files / name).read_bytes()))
    result, error = attempt(read_features, path)
    if error is None:
        assert result[0].dtype == np.float32
        assert result[0].ndim == 2


@given(st.data(), st.sampled_from(["table.parquet", "plain.parquet"]))
def test_a_damaged_parquet_table(folder, whole_files, data, name):
    path = folder / "damaged.parquet"
    path.write_bytes(mutate(data.draw, (whole_files / name).read_bytes()))
    table, error = attempt(read_interactions, path)
    if error is None:
        assert len(table.user) == len(table.item)


# --- features ----------------------------------------------------------------

DTYPES = "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 ? c8 c16 U2 S2 M8[s] m8[s] V4 g"
dtypes = st.sampled_from(DTYPES.split())
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(dtypes, st.sampled_from("<>"), st.sampled_from("CF"), shapes, st.booleans())
def test_arrays_of_any_type_and_shape(folder, dtype, order, layout, shape, is_npz):
    path = folder / ("any.npz" if is_npz else "any.npy")
    values = np.random.default_rng(0).integers(0, 2, shape)
    plain = dtype if dtype in "?g" else order + dtype
    array = np.zeros(shape, plain) if dtype == "V4" else values.astype(plain)
    array = np.asarray(array, order=layout)
    np.savez(path, features=array) if is_npz else np.save(path, array)
    result, error = attempt(read_features, path)
    good = np.dtype(plain).kind in "fiub" and array.ndim == 2 and array.size > 0
    assert (error is None) == good, error
    if good:
        assert np.array_equal(result[0], array.astype(np.float32))
        assert result[0].dtype == np.float32


header_values = st.one_of(
    st.sampled_from(
        ["<f4", "|O", "<U0", "|V0", "<f4,<f4", [("a", "<f4")], "", None, 5]
    ),
    st.text(max_size=3),
)


@given(
    header_values,
    st.booleans() | st.none() | st.integers(),
    st.lists(
        st.integers(-2, 3) | st.sampled_from([2**31, 2**63, 10**30, True, None]),
        max_size=3,
    ),
    st.binary(max_size=60),
)
def test_any_npy_header(folder, descr, order, shape, body):
    path = folder / "header.npy"
    claim = {"descr": descr, "fortran_order": order, "shape": tuple(shape)}
    header = repr(claim).encode("latin-1", "replace").ljust(117) + b"\n"
    path.write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body
    )
    result, error = attempt(read_features, path)
    if error is None:
        assert result[0].nbytes <= len(body)
    packed = folder / "header.npz"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "features.npy")
    attempt(read_features, packed)


@given(
    st.lists(
        st.sampled_from(
            ["features", "x", "ids", "ID", "any", "other", "../up", "features.npy"]
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_members_of_an_npz(folder, members, method):
    path = folder / "any.npz"
    stream = io.BytesIO()
    np.save(stream, np.ones((2, 2)))
    numbers = io.BytesIO()
    np.save(numbers, np.array([7, 8]))
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in members:
            body = numbers if name.lower() in ("ids", "id") else stream
            archive.writestr(name.removesuffix(".npy") + ".npy", body.getvalue())
    result, error = attempt(read_features, path)
    if error is None:
        assert method != zipfile.ZIP_LZMA
        assert result[0].tolist() == [[1, 1], [1, 1]]
    elif method != zipfile.ZIP_LZMA:
        assert members not in (["features"], ["x"], ["features", "ids"])


arrow_columns = st.sampled_from(
    [
        pa.array([1.0, 2.0]),
        pa.array([1, 2], pa.uint8()),
        pa.array([1.5, None]),
        pa.array([True, False]),
        pa.array(["a", "b"]),
        pa.array(["a", None], pa.large_string()),
        pa.array([b"a", b"b"]),
        pa.array([[1.0], [2.0]]),
        pa.array([[1.0, 3.0], [2.0]]),
        pa.array([[[1.0]], [[2.0]]]),
        pa.array([["a"], ["b"]]),
        pa.array([[1.0, 2.0], [2.0, 3.0]], pa.list_(pa.float32(), 2)),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([Decimal(1), Decimal(2)]),
        pa.array([None, None]),
        pa.array([1, 2], pa.timestamp("s")),
        pa.array([2**63, 1], pa.uint64()),
        pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([1.0, float("inf")]),
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["item_id", "d0", "d1", "user", "vector", "price_id", "id"]
            ),
            arrow_columns,
        ),
        max_size=4,
    )
)
def test_feature_columns_of_any_type(folder, columns):
    path = folder / "columns.parquet"
    table = pa.table([c for _, c in columns], names=[name for name, _ in columns])
    pq.write_table(table, path)
    result, error = attempt(read_features, path)
    if error is None:
        x, ids = result
        rest = [c for name, c in columns if name not in ("item_id", "id")]
        rows = zip(*(column.to_pylist() for column in rest), strict=True)
        flat = [np.hstack([np.nan if v is None else v for v in row]) for row in rows]
        assert np.array_equal(x, np.array(flat, np.float32), equal_nan=True)
        known = [c for name, c in columns if name in ("item_id", "id")]
        assert (ids is None) == (not known)
        if known:
            assert ids.tolist() == known[0].to_pylist()


@given(st.dictionaries(st.text("abx", max_size=2), st.integers() | st.text(max_size=2)))
def test_any_safetensors_header(folder, claim):
    path = folder / "any.safetensors"
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    header = json.dumps({"features": {**tensor, **claim}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    result, error = attempt(read_features, path)
    assert error or result[0].shape == (2, 2)


# --- sizes -------------------------------------------------------------------


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=4), st.integers(0, 9))
def test_a_zip_is_refused_by_the_sum_of_its_parts(folder, sizes, allowed):
    path = folder / "sizes.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"{number}", bytes(size))
        stored = sum(info.compress_size for info in archive.infolist())
    with limits(ratio=2, always=allowed * 1000):
        try:
            budget.check_zip(path)
        except UserError:
            assert sum(sizes) > max(allowed * 1000, 2 * stored)
        else:
            assert sum(sizes) <= max(allowed * 1000, 2 * stored)


@contextlib.contextmanager
def limits(ratio, always):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "MAX_RATIO", ratio)
        patch.setattr(budget, "ALWAYS_ALLOWED", always)
        yield


@given(
    st.integers(1, 3000),
    st.integers(1, 300),
    st.sampled_from(["user", "item", "split", "time", "vector", "item_id"]),
    st.sampled_from(["none", "snappy", "zstd"]),
)
def test_repetitions_in_parquet_are_unpacked_only_within_the_budget(
    folder, rows, length, name, compression
):
    path = folder / "repeated.parquet"
    if name == "vector":
        columns = {"vector": pa.array([[0.0] * length] * rows)}
    elif name == "item_id":
        columns = {"item_id": ["x" * length] * rows, "d": [0.0] * rows}
    else:
        columns = {"user": ["u"] * rows, "item": list(range(rows))}
        columns[name] = ["x" * length] * rows
    pq.write_table(pa.table(columns), path, compression=compression)
    read = read_features if name in ("vector", "item_id") else read_interactions
    with limits(ratio=3, always=50_000):
        _, error = attempt(read, path)
    unpacked = rows * length * (8 if name == "vector" else 1)
    allowed = max(50_000, 3 * path.stat().st_size)
    if unpacked > allowed:
        assert error is not None
        assert "declares" in str(error)


# --- folders -----------------------------------------------------------------

FILES = """visual.npy visual.NPY ._visual.npy .hidden.npz image_feat.npy IMAGE_FEAT.npy
text_FEAT.Npy users.parquet User.npy notes.txt interactions.csv interactions.CSV
Interactions.tsv ._interactions.csv shop.inter shop.INTER sound.npz user_feat.npy
interactions.parquet"""
file_names = st.sampled_from(FILES.split())


@given(st.sets(file_names, max_size=5))
def test_one_rule_for_the_names_of_a_folder(files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in files:
            (folder / each).touch()
        shown = sorted(each for each in files if not each.startswith("."))
        general = [e for e in shown if e.lower().startswith("interactions.")]
        inter = [e for e in shown if e.lower().endswith(".inter")]
        tables = general or inter
        table, error = attempt(interactions_file, folder)
        assert (error is None) == (len(tables) == 1)
        assert error or table.name == tables[0]
        modality = {
            **{"visual.npy": "visual", "visual.NPY": "visual", "sound.npz": "sound"},
            **{"image_feat.npy": "visual", "IMAGE_FEAT.npy": "visual"},
            **{"text_FEAT.Npy": "textual"},
        }
        expected = [(modality[each], each) for each in shown if each in modality]
        found, error = attempt(lambda f: feature_files(f, mmrec=False), folder)
        assert (error is None) == (len(dict(expected)) == len(expected))
        if error is None:
            assert {key: path.name for key, path in found.items()} == dict(expected)


@st.composite
def catalogues(draw):
    """Pairs, labels, times and features by id, all in plain Python."""
    users = draw(
        st.lists(st.text("ab0", min_size=1, max_size=2), min_size=1, unique=True)
    )
    items = draw(
        st.lists(st.text("01x", min_size=1, max_size=3), min_size=3, unique=True)
        | st.lists(st.integers(0, 10**18 - 1).map(str), min_size=3, unique=True)
    )
    pairs = [(users[0], item) for item in items[:3]]
    more = st.tuples(st.sampled_from(users), st.sampled_from(items))
    pairs += [pair for pair in draw(st.lists(more, unique=True)) if pair not in pairs]
    labels = ["train", "valid", "test"]
    labels += [draw(st.sampled_from(labels)) for _ in pairs[3:]]
    strangers = draw(st.lists(st.text("yz", min_size=1, max_size=2), unique=True))
    known = draw(st.lists(st.sampled_from(items[1:]), unique=True))
    rows = [items[0], *known, *strangers]
    x = np.random.default_rng(0).normal(size=(len(rows), 2)).astype(np.float32)
    return pairs, labels, dict(zip(rows, x, strict=True))


def write_catalogue(folder, catalogue, table, features):
    pairs, labels, x = catalogue
    columns = {
        "user": [user for user, _ in pairs],
        "item": [item for _, item in pairs],
        "split": labels,
        "time": [str(n) for n in range(len(pairs))],
    }
    if table.lower() == "parquet":
        pq.write_table(pa.table(columns), folder / f"interactions.{table}")
    else:
        comma = "," if table.lower() == "csv" else "\t"
        lines = [comma.join(row) for row in zip(*columns.values(), strict=True)]
        text = "\n".join([comma.join(columns), *lines]) + "\n"
        (folder / f"interactions.{table}").write_text(text)
    values, path = np.stack(list(x.values())), folder / f"visual.{features}"
    if features.lower() == "npz":
        with path.open("wb") as file:
            np.savez(file, features=values, ids=np.array(list(x)))
    else:
        pq.write_table(pa.table({"item_id": list(x), "v": list(values)}), path)


@given(
    catalogues(),
    st.sampled_from(["csv", "CSV", "tsv", "parquet"]),
    st.sampled_from(["npz", "NPZ", "parquet"]),
)
def test_a_data_folder_is_read_as_a_dictionary_reads_it(catalogue, table, features):
    pairs, labels, x = catalogue
    with tempfile.TemporaryDirectory() as name:
        write_catalogue(Path(name), catalogue, table, features)
        (Path(name) / "._visual.npy").write_bytes(b"junk")
        splits = load_dataset(name)
        opened = open_features(name)
    raw = [splits[0][kind].raw_id.astype(str).tolist() for kind in ("user", "item")]
    assert set(raw[1]) == {item for _, item in pairs} | set(x)
    warm = {
        user for (user, _), label in zip(pairs, labels, strict=True) if label == "train"
    }
    for part, wanted in zip(splits, ("train", "valid", "test"), strict=True):
        edges = part[INTERACTS].edge_label_index.tolist()
        read = [(raw[0][u], raw[1][i]) for u, i in zip(*edges, strict=True)]
        expected = [
            (n, pair)
            for n, (pair, label) in enumerate(zip(pairs, labels, strict=True))
            if label == wanted and pair[0] in warm
        ]
        assert read == [pair for _, pair in expected]
        assert part[INTERACTS].edge_label_time.tolist() == [n for n, _ in expected]
    store = splits[0]["item"]
    mask = store.get("mask_visual", torch.ones(len(raw[1]), dtype=torch.bool))
    for item, row, known in zip(raw[1], store.x_visual, mask, strict=True):
        assert bool(known) == (item in x)
        assert np.array_equal(row.numpy(), x.get(item, np.zeros(2, np.float32)))
    assert opened["visual"].num_items == len(x)


@given(catalogues(), st.data(), st.sampled_from(["visual.npz", "interactions.csv"]))
def test_a_damaged_data_folder(catalogue, data, name):
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        write_catalogue(folder, catalogue, "csv", "npz")
        path = folder / name
        path.write_bytes(mutate(data.draw, path.read_bytes()))
        _, error = attempt_api(load_dataset, folder)
        assert error is None or str(error).startswith(where)


@given(
    catalogues(),
    st.sampled_from(["<i8", ">i8", ">i4", "<u8", ">f8", ">M8[s]", "<M8[ns]"]),
    st.sampled_from(["<f4", ">f4", ">f8", ">i2"]),
)
def test_arrays_of_any_byte_order_in_the_api(catalogue, times, features):
    pairs, _, x = catalogue
    users, items = (np.array(ids) for ids in zip(*pairs, strict=True))
    numbers = np.arange(len(pairs))
    data = from_interactions(
        users.astype(users.dtype.newbyteorder(">")),
        items,
        features={"a": (np.stack(list(x.values())) * 100).astype(features)},
        feature_ids={"a": np.array(list(x))},
        labels=numbers.astype(">i2") % 3,
        timestamps=numbers.astype(times),
    )
    factor = 10**9 if times.endswith("[s]") else 1
    assert data[INTERACTS].time.tolist() == (numbers * factor).tolist()
    assert data[INTERACTS].split_label.tolist() == (numbers % 3).tolist()
    raw = data["item"].raw_id.astype(str).tolist()
    for item, row in x.items():
        expected = (row * 100).astype(features).astype(np.float32)
        assert np.array_equal(data["item"].x_a[raw.index(item)].numpy(), expected)
