from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mmgraph.cli.data import app
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


def run(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_import_brings_free_files_into_one_folder(tmp_path):
    (tmp_path / "log.tsv").write_text(
        "user\titem\n" + "".join(f"u{n % 3}\ti{n // 3}\n" for n in range(30))
    )
    ids = np.array([f"i{n}" for n in range(9)])
    np.savez(tmp_path / "f.npz", features=np.eye(9, dtype=np.float16), ids=ids)
    out = tmp_path / "shop"
    done = run(
        *("import", "--inter", tmp_path / "log.tsv", "--out", out, "--split"),
        *("per_user", "--feat", f"smell={tmp_path / 'f.npz'}", "--json"),
    )
    report = json.loads(done.stdout)
    assert [part["rows"] for part in report["splits"].values()] == [24, 3, 3]
    assert report["modalities"]["smell"]["missing_rows"] == 1
    train, *_ = load_dataset(out)
    assert train["item"].raw_id.tolist() == [*ids, "i9"]
    with pytest.raises(UserError, match="shop: exists already"):
        run(
            "import",
            "--inter",
            tmp_path / "log.tsv",
            "--out",
            out,
            "--split",
            "per_user",
        )


@pytest.mark.parametrize("split", ["label", "per_user", "cold_items"])
def test_import_refuses_times_only_where_its_split_goes_by_them(tmp_path, split):
    pairs = [(user, item) for user in "abcd" for item in range(20)]
    labels = ["train"] * 18 + ["valid", "test"]
    table = pd.DataFrame(pairs, columns=["user", "item"])
    table = table.assign(split=labels * 4, time=["2020-01-01"] * 80)
    table.loc[2, "time"] = "soon"
    table.to_csv(tmp_path / "log.csv", index=False)
    words = ["import", "--inter", tmp_path / "log.csv", "--out", tmp_path / "shop"]
    for by_time in ("temporal", "leave_one_out"):
        with pytest.raises(UserError, match=r"log.csv:4: timestamp .* - "):
            run(*words, "--split", by_time)
    assert not (tmp_path / "shop").exists()
    told = run(*words, "--split", split, "--quiet").stderr
    assert told.startswith(f"{tmp_path}/log.csv:4: timestamp ")
    assert told.endswith("; times are left out\n")
    assert told.count("\n") == 1
    train, *_ = load_dataset(tmp_path / "shop")
    assert "edge_label_time" not in train[INTERACTS]


MESSY = ["kunde;artikel;sterne;zeit;titel"] + [
    f"k{n % 5};Käse{n // 5};{n % 4 + 1};2024-01-{n % 28 + 1:02d};Grüße"
    for n in range(60)
]
NAMES = ["--user-col", "kunde", "--item-col", "ARTIKEL", "--time-col", "zeit"]


def messy(folder):
    """A shop's table: its own names, semicolons, latin-1, CRLF and bad rows."""
    rows = list(MESSY)
    rows[5] = ";Käse3;4;2024-01-01;x"
    rows[9] = "  ;Käse3;4;2024-01-01;x"
    rows[12] = "k1;Käse3;vier;2024-01-01;x"
    rows[14] = "k1;Käse3;4;gestern;x"
    rows[20] = "k1;Käse3"
    rows.append(rows[40])
    path = folder / "log.csv"
    path.write_bytes("\r\n".join(rows).encode("latin-1"))
    ids = [f"Käse{n}" for n in range(12)]
    columns = {"sku": ids, "title": ids, **{f"f{n}": np.arange(12.0) for n in "ab"}}
    pd.DataFrame(columns).to_parquet(folder / "pictures.parquet")
    return path


def test_a_messy_table_is_taken_as_its_clean_rows_would_be(tmp_path):
    path = messy(tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    words = ["import", "--inter", path, "--out", tmp_path / "shop", *NAMES, "--json"]
    words += ["--sep", ";", "--encoding", "latin-1", "--rating-col", "sterne"]
    words += ["--min-rating", 2, "--on-bad-rows", "drop", "--duplicates", "last"]
    words += ["--feat", f"visual={tmp_path / 'pictures.parquet'}"]
    report = json.loads(run(*words, "--split", "leave_one_out").stdout)
    kinds = {each["kind"]: each["rows"] for each in report["import"]["left"]}
    assert [*kinds.values()] == [1, 2, 1, 1, 13, 1]
    assert report["import"]["features"]["visual"] == {
        "file": "pictures.parquet",
        "ids": "sku",
        "not_read": ["title"],
        "left": [],
    }

    frame = pd.read_csv(path, sep=";", encoding="latin-1", dtype=str)  # another route
    frame = frame[frame.kunde.str.strip().fillna("") != ""]
    frame = frame.assign(
        sterne=pd.to_numeric(frame.sterne, errors="coerce"),
        zeit=pd.to_datetime(frame.zeit, errors="coerce"),
    ).dropna()
    frame = frame[frame.sterne >= 2].drop_duplicates(["kunde", "artikel"], keep="last")
    splits = load_dataset(tmp_path / "shop")
    got = set()
    for data in splits:
        user, item = data[INTERACTS].edge_label_index.numpy()
        times = data[INTERACTS].edge_label_time.tolist()
        users, items = data["user"].raw_id[user], data["item"].raw_id[item]
        got |= set(zip(users.tolist(), items.tolist(), times, strict=True))
    stamps = frame.zeit.astype("datetime64[ns]").astype("int64")
    assert got == set(zip(frame.kunde, frame.artikel, stamps, strict=True))
    assert report["import"]["taken"] == len(frame)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_bad_rows_are_one_line_that_counts_them_all(tmp_path):
    path = messy(tmp_path)
    words = ["import", "--inter", path, "--out", tmp_path / "shop", "--sep", ";"]
    with pytest.raises(UserError, match=r"log.csv:\d+: text is not UTF-8; .* bad"):
        run(*words, *NAMES, "--split", "per_user")
    words += ["--encoding", "latin-1", "--split", "per_user"]
    message = (
        r"log.csv:6: empty user id; 4 rows are bad: "
        r"1 x not the 5 fields of the header .first in row 21., "
        r"2 x empty user id .first in row 6., 1 x timestamp .* .first in row 15. - "
        r"mend them, or leave them out with --on-bad-rows drop"
    )
    with pytest.raises(UserError, match=message):
        run(*words, *NAMES)
    assert not (tmp_path / "shop").exists()


def test_one_bad_row_is_named_as_everywhere(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\nu,1\n,2\n")
    words = ["import", "--inter", tmp_path / "log.csv", "--out", tmp_path / "shop"]
    with pytest.raises(UserError, match=r"log.csv:3: empty user id - mend them, or le"):
        run(*words, "--split", "none")


def test_a_table_without_header_is_read_by_numbers(tmp_path):
    rows = [f"{n % 4}::{n // 4}::5::97830{n:04d}" for n in range(40)]
    (tmp_path / "ratings.dat").write_text("\n".join(rows))
    words = ["import", "--inter", tmp_path / "ratings.dat", "--out", tmp_path / "shop"]
    words += ["--sep", "::", "--no-header", "--user-col", 1, "--item-col", 2]
    report = run(*words, "--time-col", 4, "--split", "temporal", "--json").stdout
    assert json.loads(report)["interactions"] == 40
    *_, test = load_dataset(tmp_path / "shop")
    assert test[INTERACTS].edge_label_time.tolist() == [978300036 + n for n in range(4)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sep", ""], "'' cannot separate columns - write the characters"),
        (["--encoding", "rot13"], "unknown encoding 'rot13' - write utf-8, latin-1"),
        (["--encoding", "utf-32"], "log.csv: text is not utf-32 .* - choose another"),
        (["--user-col", "who"], "log.csv:1: no column 'who' among 'user', 'item' - na"),
        (["--user-col", "item", "--item-col", "item"], "one column for two roles: 'i"),
        (["--min-rating", "3"], "log.csv: no column of ratings, .* - name it .--rat"),
        (["--until", "2025"], "log.csv: no column of times, .* - name it .--time-col"),
        (["--min-rating", "nan"], "the smallest rating is nan - write a number"),
        (["--min-interactions", "-1"], "the fewest interactions are -1 - write a who"),
        (["--on-bad-rows", "x"], "bad rows is 'x' - write error or drop"),
        (["--duplicates", "x"], "duplicates is 'x' - write error, first, last"),
        (["--split", "x"], "unknown split 'x' - choose among label"),
        (["--min-interactions", "9"], "no user and no item has 9 interactions amo"),
        (["--id-col", "sku"], "no feature file has a column 'sku' - leave it out"),
        (["--feat", "../a=f.npy"], "no file name"),
        (["--feat", "b"], "write NAME=FILE"),
        (["--feat", "visual=no.npy"], "no.npy: no such file"),
        (["--inter", "no.csv"], r"no.csv: no such file"),
    ],
)
def test_what_cannot_be_imported_is_one_line(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("user,item\nu,1\nu,2\nv,1\n")
    with pytest.raises(UserError, match=message):
        run("import", "--out", "x", "--split", "none", "--inter", "log.csv", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
