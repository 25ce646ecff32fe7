from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmgraph.data import fingerprint, import_dataset, load_dataset
from mmgraph.data.importing.sources import find_sources
from mmgraph.data.label_split import SPLIT_NAMES
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS

PAIRS = [(user, item) for user in range(5) for item in range(6)]
SPLIT = [0, 0, 0, 0, 1, 2] * 5


def write(folder, name, rows):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))


def own(folder):
    """The data set in our layout: what each import must equal."""
    header = ("user", "item", "split", "timestamp")
    rows = [
        (f"u{user}", item, SPLIT_NAMES[label], 100 * user + item)
        for (user, item), label in zip(PAIRS, SPLIT, strict=True)
    ]
    write(folder, "interactions.tsv", [header, *rows])
    return load_dataset(folder)


def of_split(split, rating=True):
    for (user, item), label in zip(PAIRS, SPLIT, strict=True):
        if label == split:
            yield (f"u{user}", item, *([4.5] if rating else []), 100 * user + item)


@pytest.mark.parametrize(
    "names", [["train", "val", "test"], ["train", "valid", "test"]]
)
def test_elliot_has_no_header(tmp_path, names):
    for split, name in enumerate(names):
        write(tmp_path / "elliot", f"{name}.tsv", of_split(split))
    splits, report = import_dataset(tmp_path / "elliot")
    assert fingerprint(*splits) == fingerprint(*own(tmp_path / "own"))
    assert report.files == [f"{name}.tsv" for name in names]


def test_elliot_may_have_two_columns_or_a_header(tmp_path):
    for split, name in enumerate(("train", "val", "test")):
        rows = [row[:2] for row in of_split(split)]
        write(tmp_path / "two", f"{name}.tsv", rows)
        write(tmp_path / "headed", f"{name}.tsv", [("userId", "itemId"), *rows])
    two, headed = (import_dataset(tmp_path / n)[0] for n in ("two", "headed"))
    assert fingerprint(*two) == fingerprint(*headed)
    assert "time" not in two[0][INTERACTS]


def test_recbole_names_types_and_may_have_a_table_of_each_split(tmp_path):
    header = ("user_id:token", "item_id:token", "label:float", "timestamp:float")
    for split, name in enumerate(("train", "valid", "test")):
        rows = [header, *((u, i, 1, t) for u, i, _, t in of_split(split))]
        write(tmp_path / "ml", f"ml.{name}.inter", rows)
    expected = own(tmp_path / "own")
    splits, _ = import_dataset(tmp_path / "ml")
    assert fingerprint(*splits) == fingerprint(*expected)

    rows = [row for split in range(3) for row in of_split(split)]
    header = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    write(tmp_path / "one", "one.inter", [header, *rows])
    for path in (tmp_path / "one", tmp_path / "one" / "one.inter"):
        splits, _ = import_dataset(path, split="leave_one_out", min_rating=4)
        *_, test = splits
        assert test[INTERACTS].edge_label_time.tolist() == [5, 105, 205, 305, 405]
    train, *_ = load_dataset(tmp_path / "one", split="leave_one_out")
    assert train["user"].raw_id.tolist() == [f"u{n}" for n in range(5)]


def mmrec(folder):
    rows = [(u, i, label) for (u, i), label in zip(PAIRS, SPLIT, strict=True)]
    write(folder, "shop.inter", [("userID", "itemID", "x_label"), *rows])
    np.save(folder / "image_feat.npy", np.eye(6, 3, dtype=np.float16))
    np.save(folder / "text_feat.npy", np.ones((6, 2)))
    return folder


def test_a_folder_of_mmrec_is_what_load_dataset_reads(tmp_path):
    folder = mmrec(tmp_path / "shop")
    splits, report = import_dataset(folder)
    assert fingerprint(*splits) == fingerprint(*load_dataset(folder))
    assert {n: part["file"] for n, part in report.features.items()} == {
        "visual": "image_feat.npy",
        "textual": "text_feat.npy",
    }


def test_rows_that_are_left_out_make_no_gap_in_mmrecs_ids(tmp_path):
    folder = mmrec(tmp_path / "shop")
    path = folder / "shop.inter"
    path.write_text(path.read_text().replace("\t2\t0", "\t2\t9"))  # item 2 has no row
    (train, *_), report = import_dataset(folder, bad_rows="drop")
    assert [(each.kind, each.rows) for each in report.left] == [
        ("unknown split label", 5)
    ]
    assert train["item"].raw_id.tolist() == [0, 1, 2, 3, 4, 5]
    assert train["item"].x_visual[2].tolist() == [0, 0, 1]


def test_a_pair_in_two_files_is_named_with_both(tmp_path):
    for name in ("train", "val", "test"):
        write(tmp_path / "shop", f"{name}.tsv", [("u", 1), ("u", name)])
    message = r"shop: user 'u' and item '1' stand in two splits .row 1 of train.tsv an"
    with pytest.raises(UserError, match=message):
        import_dataset(tmp_path / "shop")


def test_bad_rows_of_several_files_are_named_with_theirs(tmp_path):
    write(tmp_path, "train.tsv", [("u", 1, 5), ("", 2, 5)])
    write(tmp_path, "test.tsv", [("", 3, 5), ("u", 4, 5), ("u",)])
    message = r"test.tsv:1: empty .* 3 rows are bad: 1 x empty user id .first in row 2 "
    with pytest.raises(UserError, match=message):
        import_dataset(tmp_path)


def test_two_tables_of_a_split_are_refused(tmp_path):
    write(tmp_path, "train.tsv", [("u", 1)])
    write(tmp_path, "a.train.tsv", [("u", 1)])
    with pytest.raises(UserError, match=r"a.train.tsv and train.tsv are both the trai"):
        find_sources(tmp_path)


def test_our_own_table_comes_first(tmp_path):
    own(tmp_path)
    write(tmp_path, "train.tsv", [("u", 1)])
    write(tmp_path, "test.tsv", [("u", 2)])
    assert find_sources(tmp_path).files == [tmp_path / "interactions.tsv"]
    table = tmp_path / "test.tsv"
    assert find_sources(table).files == [table]
    with pytest.raises(UserError, match="nowhere: no such file or folder - check"):
        find_sources(Path("nowhere"))
