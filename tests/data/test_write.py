from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import (
    fingerprint,
    from_interactions,
    load_dataset,
    open_features,
    split_by_label,
    synthetic,
    write_dataset,
)
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS


@pytest.fixture(scope="module")
def splits():
    return synthetic(num_users=40, num_items=60)[:3]


def test_what_is_written_is_what_is_read(tmp_path, splits):
    write_dataset(*splits, tmp_path / "a" / "shop")
    again = load_dataset(tmp_path / "a" / "shop")
    assert fingerprint(*again) == fingerprint(*splits)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["shop"]


def test_times_and_integer_ids_survive(tmp_path):
    data = from_interactions(
        [4, 4, 4], [9, 8, 7], labels=[0, 1, 2], timestamps=[3, 1, 2]
    )
    write_dataset(*split_by_label(data), tmp_path / "x")
    _, val, _ = load_dataset(tmp_path / "x")
    assert val["item"].raw_id.tolist() == [7, 8, 9]
    assert val[INTERACTS].edge_label_time.tolist() == [1]
    assert load_dataset(tmp_path / "x", split="temporal")


def test_a_name_that_would_be_lost_is_refused(tmp_path):
    splits = synthetic(num_users=40, num_items=60, modalities={"x_feat": 16})[:3]
    with pytest.raises(UserError, match="'x_feat' would be read back as 'x'"):
        write_dataset(*splits, tmp_path / "shop")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_force(tmp_path, splits):
    out = tmp_path / "shop"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="shop: exists already - choose another folder"):
        write_dataset(*splits, out)
    with pytest.raises(UserError, match=r"shop: holds 'mine\.txt', which is not from"):
        write_dataset(*splits, out, force=True)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    write_dataset(*splits, tmp_path / "other")
    before = fingerprint(*load_dataset(tmp_path / "other"))
    with pytest.raises(UserError, match="other: exists already - choose"):
        write_dataset(*splits, tmp_path / "other")
    write_dataset(*splits, tmp_path / "other", force=True)
    assert fingerprint(*load_dataset(tmp_path / "other")) == before


@pytest.mark.parametrize(
    "name", ["interactions.parquet", "visual.npz", "textual.npz", "mmgraph.json"]
)
def test_of_twenty_flipped_bits_of_any_file_each_is_refused(tmp_path, splits, name):
    write_dataset(*splits, tmp_path / "shop")
    path = tmp_path / "shop" / name
    whole = path.read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 20).tolist():
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        for read in (load_dataset, open_features):
            if name == "interactions.parquet" and read is open_features:
                continue
            with pytest.raises(UserError, match=rf"shop/{name}: (damaged|not JSON)"):
                read(tmp_path / "shop")


def test_a_file_that_is_gone_is_missed_and_one_more_is_welcome(tmp_path, splits):
    write_dataset(*splits, tmp_path / "shop")
    np.save(tmp_path / "shop" / "audio.npy", np.eye(60, dtype=np.float32))
    train, *_ = load_dataset(tmp_path / "shop", modalities=["visual"])
    assert train["item"].num_nodes == 60
    (tmp_path / "shop" / "textual.npz").unlink()
    for read in (load_dataset, open_features):
        with pytest.raises(UserError, match=r"shop/textual\.npz: is not there any"):
            read(tmp_path / "shop")


def test_a_failure_leaves_the_old_folder_and_no_rest(tmp_path, splits, monkeypatch):
    out = tmp_path / "shop"
    write_dataset(*splits, out)
    before = fingerprint(*load_dataset(out))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match=r"cannot be written .No space left"):
        write_dataset(*splits, out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    assert fingerprint(*load_dataset(out)) == before


def test_an_empty_id_is_not_written_since_it_would_not_be_read(tmp_path):
    data = from_interactions([1, 1, 1], ["", "a", "b"], labels=[0, 1, 2])
    with pytest.raises(UserError, match="an item has an empty id - give it another"):
        write_dataset(*split_by_label(data), tmp_path / "x")
    assert not (tmp_path / "x").exists()
