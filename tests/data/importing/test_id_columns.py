from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from mmgraph.data import import_dataset
from mmgraph.data.importing.id_columns import find_id_columns
from mmgraph.errors import UserError

ITEMS = np.array([f"B{n}" for n in range(6)])
X = np.arange(12.0).reshape(6, 2)


def parquet(path, names=ITEMS):
    columns = {"title": [f"t{n}" for n in range(6)], "asin": names, "a": X[:, 0]}
    pd.DataFrame({**columns, "b": X[:, 1], "store_id": range(6)}).to_parquet(path)


def csv(path):
    columns = {"title": [f"t{n}" for n in range(6)], "asin": ITEMS, "a": X[:, 0]}
    frame = pd.DataFrame({**columns, "b": X[:, 1], "store_id": range(6)})
    frame.to_csv(path, index=False, sep=";")


def npz(path):
    np.savez(path, features=X, sku=ITEMS, price=np.ones(6))


def safetensors(path):
    codes = torch.arange(6)
    save_file({"x": torch.tensor(X), "code": codes, "price": torch.ones(6)}, path)


def table(folder, items):
    rows = ["user,item", *(f"u{u},{item}" for u in range(3) for item in items)]
    (folder / "log.csv").write_text("\n".join(rows))
    return folder / "log.csv"


@pytest.mark.parametrize(
    ("suffix", "write", "items", "column", "not_read"),
    [
        (".parquet", parquet, ITEMS, "asin", ["title", "store_id"]),
        (".csv", csv, ITEMS, "asin", ["title", "store_id"]),
        (".npz", npz, ITEMS, "sku", []),
        (".safetensors", safetensors, range(6), "code", []),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_ids_of_any_name_are_found(
    tmp_path, suffix, write, items, column, not_read, named
):
    path = tmp_path / f"visual{suffix}"
    write(path)
    log = table(tmp_path, list(items)[:4])
    (train, *_), report = import_dataset(
        log, {"visual": path}, id_column=column if named else None, split="none"
    )
    assert train["item"].raw_id.tolist() == list(items)
    assert train["item"].x_visual.tolist() == X.tolist()
    assert report.features["visual"] == {
        "file": path.name,
        "ids": column,
        "not_read": not_read,
        "left": [],
    }


def test_usual_names_need_no_search(tmp_path):
    np.savez(tmp_path / "a.npz", features=X, item_id=ITEMS)
    np.save(tmp_path / "b.npy", X)
    files = {name: tmp_path / name for name in ("a.npz", "b.npy")}
    assert find_id_columns(files, ITEMS) == {}


def test_what_holds_no_item_is_no_id(tmp_path):
    parquet(tmp_path / "visual.parquet", [f"X{n}" for n in range(6)])
    assert find_id_columns({"visual": tmp_path / "visual.parquet"}, ITEMS) == {}
    message = r"visual.parquet: column 'title' .* is neither the item ids nor features"
    with pytest.raises(UserError, match=message):
        import_dataset(
            table(tmp_path, ITEMS),
            {"visual": tmp_path / "visual.parquet"},
            split="none",
        )


def test_a_damaged_file_is_one_line(tmp_path):
    path = tmp_path / "visual.safetensors"
    path.write_bytes(b"\x08" + bytes(7) + b"{broken}")
    for named in (None, "code"):
        with pytest.raises(
            UserError, match="safetensors: damaged safetensors file"
        ) as e:
            find_id_columns({"visual": path}, ITEMS, named)
        assert "\n" not in str(e.value)


def test_half_precision_is_no_id(tmp_path):
    path = tmp_path / "visual.safetensors"
    ones = torch.ones(6, dtype=torch.bfloat16)
    save_file({"x": torch.tensor(X), "code": torch.arange(6), "price": ones}, path)
    assert find_id_columns({"visual": path}, np.arange(6)) == {"visual": "code"}


def test_a_named_column_must_be_in_a_file(tmp_path):
    npz(tmp_path / "a.npz")
    message = "no feature file has a column 'asin' - name one of 'features', 'price', "
    with pytest.raises(UserError, match=message):
        find_id_columns({"a": tmp_path / "a.npz"}, ITEMS, "asin")


def test_a_folder_of_vectors_has_its_ids_in_the_names(tmp_path):
    (tmp_path / "clip").mkdir()
    for item, row in zip(ITEMS, X, strict=True):
        np.save(tmp_path / "clip" / f"{item}.npy", row[None].astype(np.float16))
    (train, *_), report = import_dataset(
        table(tmp_path, ITEMS[:5]), {"visual": tmp_path / "clip"}, split="none"
    )
    assert train["item"].raw_id.tolist() == ITEMS.tolist()
    assert train["item"].x_visual.tolist() == X.tolist()
    assert train.stored_dtype == {"visual": "float16"}
    assert report.features["visual"]["file"] == "clip"
