from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import catalogue_features, load_dataset, open_features, write_dataset
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.errors import UserError
from mmgraph.functional.block_sizes import FEATURE_ROWS


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def whole(rows, size=7):
    return np.concatenate([block for _, block in rows.blocks(size)])


def test_a_file_on_disk_is_read_block_by_block(tmp_path, x):
    np.save(tmp_path / "image_feat.npy", x)
    rows = open_features(tmp_path)["visual"]
    assert isinstance(rows.values, np.memmap)
    assert [start for start, _ in rows.blocks(7)] == [0, 7, 14]
    np.testing.assert_array_equal(whole(rows), x)
    assert not isinstance(rows.read(3, 9), np.memmap)
    items = np.array([2, 3, 19])
    np.testing.assert_array_equal(rows.take(items), x[items])


def test_a_part_of_a_file_is_that_part(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    part = FeatureRows(open_features(tmp_path)["a"].values[5:])
    np.testing.assert_array_equal(whole(part), x[5:])


def test_blocks_of_a_long_file_meet(tmp_path):
    x = np.arange(FEATURE_ROWS * 2 + 5, dtype=np.float32)[:, None]
    np.save(tmp_path / "a.npy", x)
    rows = open_features(tmp_path)["a"]
    np.testing.assert_array_equal(whole(rows, FEATURE_ROWS), x)
    items = np.array([0, FEATURE_ROWS - 1, FEATURE_ROWS, len(x) - 1])
    np.testing.assert_array_equal(rows.take(items)[:, 0], items)


@pytest.mark.parametrize("kind", ["float16", "column order"])
def test_other_layouts_are_read_into_memory(tmp_path, x, kind):
    stored = x.astype(np.float16) if kind == "float16" else np.asfortranarray(x)
    np.save(tmp_path / "a.npy", stored)
    np.testing.assert_array_equal(whole(open_features(tmp_path)["a"]), stored)


def test_ids_line_the_items_up(tmp_path, x):
    names = np.array([f"i{n:02d}" for n in range(20)])
    order = np.random.default_rng(1).permutation(15)
    np.savez(tmp_path / "a.npz", features=x[order], ids=names[order])
    np.savez(tmp_path / "b.npz", features=x[10:], ids=names[10:])
    a, b = open_features(tmp_path).values()
    padded_a, padded_b = x.copy(), x.copy()
    padded_a[15:], padded_b[:10] = 0, 0
    np.testing.assert_array_equal(whole(a), padded_a)
    np.testing.assert_array_equal(whole(b), padded_b)
    assert a.missing.tolist() == [False] * 15 + [True] * 5
    assert b.missing.tolist() == [True] * 10 + [False] * 10
    items = np.array([1, 14, 15])
    np.testing.assert_array_equal(a.take(items), padded_a[items])


def test_ids_may_be_row_numbers_of_a_file_without(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", features=x[[7, 3]], ids=[7, 3])
    rows = open_features(tmp_path)["b"]
    assert np.flatnonzero(~rows.missing).tolist() == [3, 7]
    np.testing.assert_array_equal(rows.read(3, 4), x[3:4])


def test_only_the_feature_files_of_the_mmrec_layout_count(tmp_path, x):
    (tmp_path / "toy.inter").touch()
    np.save(tmp_path / "text_feat.npy", x)
    np.save(tmp_path / "user_graph.npy", x)
    assert list(open_features(tmp_path)) == ["textual"]


def test_folder_and_catalogue_have_the_same_rows(tmp_path):
    splits = load_dataset("synthetic")
    write_dataset(*splits, tmp_path / "toy")
    from_disk = open_features(tmp_path / "toy")
    for name, rows in catalogue_features(splits[0]).items():
        other = from_disk[name]
        np.testing.assert_array_equal(whole(rows), whole(other))
        np.testing.assert_array_equal(rows.missing, other.missing)
        assert rows.missing.sum() == 12


def test_without_a_mask_nothing_is_missing():
    rows = FeatureRows(np.ones((4, 2), np.float32))
    assert not rows.missing.any()


def test_errors_name_the_file(tmp_path, x):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_features(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no feature file - add <modality>_feat\.npy"):
        open_features(tmp_path)
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x[:5])
    with pytest.raises(UserError, match=r"b\.npy: 5 rows, but a\.npy has 20"):
        open_features(tmp_path)
    (tmp_path / "b.npy").unlink()
    np.savez(tmp_path / "b.npz", features=x[:2], ids=[3, 99])
    with pytest.raises(
        UserError, match=r"b\.npz: item id 99 at row 1 .* no row number of a"
    ):
        open_features(tmp_path)
    np.savez(tmp_path / "b.npz", features=x[:2], ids=[3, 3])
    with pytest.raises(UserError, match=r"item id 3 stands at rows 0 and 1"):
        open_features(tmp_path)
    (tmp_path / "b.npz").unlink()
    x[FEATURE_ROWS % 20, 1] = np.nan
    np.save(tmp_path / "a.npy", np.tile(x, (FEATURE_ROWS // 20 + 1, 1)))
    first = FEATURE_ROWS % 20
    with pytest.raises(UserError, match=rf"a\.npy: row {first} .* holds NaN"):
        open_features(tmp_path)
    late = np.ones((FEATURE_ROWS + 3, 2), np.float32)
    late[FEATURE_ROWS + 1] = np.inf
    np.save(tmp_path / "a.npy", late)
    with pytest.raises(
        UserError, match=rf"a\.npy: row {FEATURE_ROWS + 1} .* holds NaN"
    ):
        open_features(tmp_path)
