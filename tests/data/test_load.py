from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mmgraph.data import data_report, fingerprint, load_dataset
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, modalities

HEADER = "userID\titemID\tx_label\n"
GOOD = HEADER + "0\t0\t0\n0\t1\t1\n0\t2\t2\n1\t2\t0\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop.inter").write_text(GOOD)
    np.save(tmp_path / "image_feat.npy", np.arange(12.0).reshape(3, 4))
    np.save(tmp_path / "text_feat.npy", np.arange(6, dtype=np.float16).reshape(3, 2))
    return tmp_path


def test_the_mmrec_layout(folder):
    np.save(folder / "depth_feat.npy", np.ones((3, 1), int))
    np.save(folder / "audio_feat.npy", np.ones((3, 1)))
    np.save(folder / "user_graph_dict.npy", np.array({"a": 1}, dtype=object))
    train, val, test = load_dataset(folder)
    assert modalities(train) == ["visual", "textual", "acoustic", "depth"]
    assert train["item"].x_textual.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert train[INTERACTS].edge_index.tolist() == [[0, 1], [0, 2]]
    assert val[INTERACTS].edge_label_index.tolist() == [[0], [1]]
    assert test[INTERACTS].edge_label_index.tolist() == [[0], [2]]


def test_modalities_are_selected_and_others_not_read(folder):
    (folder / "audio_feat.npy").write_text("broken")
    train, *_ = load_dataset(folder, modalities=["textual", "visual"])
    assert modalities(train) == ["visual", "textual"]  # the one order of all parts
    assert modalities(load_dataset(folder, modalities=[])[0]) == []
    with pytest.raises(UserError, match="no modality 'smell' - choose among visual"):
        load_dataset(folder, modalities=["smell"])


def test_synthetic_is_one_data_set_and_the_seed_moves_only_the_split():
    one, other = (load_dataset("synthetic", seed=seed) for seed in (0, 1))
    assert fingerprint(*one) == fingerprint(*other)
    one, other = (load_dataset("synthetic", split="per_user", seed=s) for s in (0, 1))
    assert fingerprint(*one) != fingerprint(*other)
    assert one[0]["item"].x_visual.equal(other[0]["item"].x_visual)
    picked, *_ = load_dataset("synthetic", modalities=["textual"])
    assert modalities(picked) == ["textual"]
    with pytest.raises(UserError, match="no modality 'acoustic'"):
        load_dataset("synthetic", modalities=["acoustic"])


def test_the_general_layout_with_free_ids(tmp_path):
    frame = pd.DataFrame(
        {"user": list("ppppq"), "item": list("vwxyv"), "split": [0, 0, 1, 2, 0]}
    )
    frame.to_parquet(tmp_path / "interactions.parquet")
    np.savez(tmp_path / "smell.npz", features=np.eye(3), ids=np.array(["x", "v", "z"]))
    pd.DataFrame({"item_id": list("vwxyz"), "d": range(5)}).to_parquet(
        tmp_path / "colour.parquet"
    )
    train, *_ = load_dataset(tmp_path)
    assert modalities(train) == ["colour", "smell"]
    assert train["item"].raw_id.tolist() == list("vwxyz")  # z: features only
    assert train["item"].mask_smell.tolist() == [True, False, True, False, True]
    assert train["item"].x_smell.argmax(1).tolist() == [1, 0, 0, 0, 2]
    assert "mask_colour" not in train["item"]


def test_the_layouts_agree(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("general")
    (other / "interactions.csv").write_text(GOOD.replace("\t", ","))
    for mine, theirs in (("visual", "image_feat"), ("textual", "text_feat")):
        content = (folder / f"{theirs}.npy").read_bytes()
        (other / f"{mine}.npy").write_bytes(content)
    assert fingerprint(*load_dataset(folder)) == fingerprint(*load_dataset(other))


def _inter(text):
    return lambda folder: (folder / "shop.inter").write_text(text)


def _image(array):
    return lambda folder: np.save(folder / "image_feat.npy", array)


def _bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


BAD = {
    "wrong_column": (
        _inter(GOOD.replace("itemID", "thing")),
        "shop.inter:1: no item column",
    ),
    "no_label": (
        _inter(GOOD.replace("x_label", "rating")),
        "shop.inter: the interactions carry no split label",
    ),
    "ragged": (
        _inter(GOOD + "1\t0\n"),
        "shop.inter:6: 2 fields where the header",
    ),
    "not_an_integer": (
        _inter(GOOD + "1\tx\t0\n"),
        "shop.inter:6: itemID 'x' is no whole number",
    ),
    "float_id": (
        _inter(GOOD + "1.0\t0\t0\n"),
        "shop.inter:6: userID '1.0' is no",
    ),
    "negative": (_inter(GOOD + "-1\t0\t0\n"), "shop.inter:6: userID -1 is negative"),
    "gap": (
        _inter(GOOD + "1\t5\t0\n"),
        "shop.inter:6: itemID 3 never occurs, yet 5 does - number them",
    ),
    "overflow": (
        _inter(GOOD + "99999999999999999999\t0\t0\n"),
        "shop.inter:6: userID '99999999999999999999' is no whole number, or too large",
    ),
    "huge_gap": (
        _inter(GOOD + "100000000000000000\t0\t0\n"),
        "shop.inter:6: userID 2 never occurs",
    ),
    "label": (_inter(GOOD + "1\t0\t3\n"), "shop.inter:6: split label '3'"),
    "duplicate": (
        _inter(GOOD + "1\t2\t0\n"),
        "shop.inter:6: user 1 and item 2 occur twice .rows 5 and 6.",
    ),
    "overlap": (
        _inter(GOOD + "1\t2\t2\n"),
        "shop.inter:6: user 1 and item 2 stand in two splits .rows 5 and 6.",
    ),
    "empty_split": (
        _inter(HEADER + "0\t0\t0\n0\t1\t1\n0\t2\t1\n"),
        "shop.inter: the test split is empty",
    ),
    "no_rows": (_inter(HEADER), "shop.inter: holds no rows"),
    "zero_bytes_table": (_inter(""), "shop.inter: the file is empty"),
    "feature_rows": (
        _image(np.zeros((4, 2))),
        "image_feat.npy: 4 feature rows for 3 items",
    ),
    "nan": (
        _image(np.array([[1.0], [np.nan], [np.inf]])),
        "image_feat.npy: row 1 .counted from 0. holds NaN",
    ),
    "object": (
        _image(np.array([[None]] * 3, dtype=object)),
        "image_feat.npy: holds pickled Python objects",
    ),
    "truncated": (
        lambda folder: (folder / "image_feat.npy").write_bytes(
            (folder / "image_feat.npy").read_bytes()[:-1]
        ),
        "image_feat.npy: truncated",
    ),
    "zero_bytes": (_bytes("image_feat.npy", b""), "image_feat.npy: the file is empty"),
    "not_npy": (_bytes("image_feat.npy", b"x" * 99), "image_feat.npy: not a readable"),
    "two_tables": (_bytes("other.inter", b"x"), "several tables: other.inter, shop.in"),
    "no_table": (
        lambda folder: (folder / "shop.inter").unlink(),
        "no interactions file - add interactions.parquet",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_file_row_and_fix(folder, case):
    load_dataset(folder)
    breaks, message = BAD[case]
    breaks(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(folder)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)
    assert " - " in str(caught.value)


GENERAL_BAD = {
    "rows_without_ids": (
        {"a.npy": np.eye(2)},
        "a.npy: the file has no item ids, and the items of the table are not row",
    ),
    "one_modality_twice": (
        {"a.npy": np.eye(2), "a_feat.npy": np.eye(2)},
        "a.npy and a_feat.npy both hold 'a'",
    ),
}


@pytest.mark.parametrize("case", GENERAL_BAD)
def test_bad_general_folders(tmp_path, case):
    (tmp_path / "interactions.csv").write_text("user,item,split\nu,x,0\nu,y,1\nu,z,2\n")
    arrays, message = GENERAL_BAD[case]
    for name, array in arrays.items():
        np.save(tmp_path / name, array)
    with pytest.raises(UserError, match=message):
        load_dataset(tmp_path)


def test_an_item_beyond_the_feature_rows_is_named(tmp_path):
    (tmp_path / "interactions.csv").write_text("user,item,split\nu,0,0\nu,7,1\nu,1,2\n")
    np.save(tmp_path / "a.npy", np.eye(5))
    with pytest.raises(UserError, match=r"5 feature rows, but row 3 .* has item 7"):
        load_dataset(tmp_path)


def test_missing_folders_and_unknown_splits(tmp_path):
    with pytest.raises(UserError, match="no such folder - give a data folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match="unknown split 'x' - choose among label"):
        load_dataset("synthetic", split="x")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "nodes", "rows", "dropped", "widths"),
    [
        (
            "tiktok",
            (9_308, 6_710),
            (59_541, 3_051, 6_130),
            (0, 5, 5),
            {"visual": 128, "acoustic": 128},
        ),
        (
            "sports",
            (35_598, 18_357),
            (218_409, 37_899, 40_029),
            (0, 0, 0),
            {"textual": 384},
        ),
        ("baby", (19_445, 7_050), (118_551, 20_559, 21_682), (0, 0, 0), {}),
    ],
)
def test_real_counts(real_data, name, nodes, rows, dropped, widths):
    report = data_report(*load_dataset(real_data / name))
    assert (report["users"], report["items"]) == nodes
    parts = report["splits"].values()
    assert tuple(part["rows"] + part["dropped_rows"] for part in parts) == rows
    assert tuple(part["dropped_rows"] for part in parts) == dropped
    found = {name: part["dim"] for name, part in report["modalities"].items()}
    assert found == widths
    if name == "tiktok":
        assert report["items_without_train"] == 465
        duplicates = [p["duplicate_rows"] for p in report["modalities"].values()]
        assert duplicates == [6_710 - 6_707, 6_710 - 6_655]


def test_a_label_of_clicks_is_no_split_under_another_rule(tmp_path):
    rows = [f"u,{item},{item % 2 * 5}" for item in range(5)]
    (tmp_path / "interactions.csv").write_text("\n".join(["user,item,label", *rows]))
    train, *_ = load_dataset(tmp_path, split="per_user")
    assert train[INTERACTS].edge_index.size(1) == 3
    with pytest.raises(UserError, match=r"csv:3: split label '5' - .* another split"):
        load_dataset(tmp_path)


def test_hidden_files_upper_case_and_tables_of_users(tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "interactions.CSV").write_text("user,item,split\nu,0,0\nu,1,1\nu,2,2\n")
    with (tmp_path / "visual.NPY").open("wb") as file:
        np.save(file, np.eye(3))
    (tmp_path / "._visual.npy").write_bytes(b"Mac OS X")
    pd.DataFrame({"id": [7, 8], "age": [1, 2]}).to_parquet(tmp_path / "users.parquet")
    train, *_ = load_dataset(tmp_path)
    assert modalities(train) == ["visual"]
    assert train["item"].num_nodes == 3
    line = f"{tmp_path}: interactions.CSV, visual.NPY; not read: users.parquet"
    assert caplog.messages == [line]


@pytest.mark.parametrize("split", ["label", "per_user", "cold_items"])
@pytest.mark.parametrize("time", ["9999-12-31", "", "soon"])
def test_times_are_refused_only_by_a_split_that_uses_them(
    tmp_path, caplog, split, time
):
    pairs = [(user, item) for user in "abcd" for item in range(20)]
    labels = ["train"] * 18 + ["valid", "test"]
    table = pd.DataFrame(pairs, columns=["user", "item"])
    table = table.assign(split=labels * 4, timestamp=["2020-01-01"] * 80)
    table.loc[2, "timestamp"] = time
    table.to_csv(tmp_path / "interactions.csv", index=False)
    train, *_ = load_dataset(tmp_path, split=split)
    assert "time" not in train[INTERACTS]
    (told,) = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert told.startswith(f"{tmp_path}/interactions.csv:4: timestamp ")
    assert told.endswith("; times are left out")
    for other in ("temporal", "leave_one_out"):
        with pytest.raises(UserError, match=r"interactions.csv:4: timestamp .* - "):
            load_dataset(tmp_path, split=other)
