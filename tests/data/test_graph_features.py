from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data.graph_features import graph_features
from mmgraph.data.graph_file import GraphFile
from mmgraph.errors import UserError


@pytest.fixture
def parts(tmp_path, x):
    """The table in three files with ids, and in three without."""
    rows = [slice(0, 25), slice(25, 26), slice(26, 60)]
    ids = np.array([f"i{n}" for n in range(60)])
    named, bare = [], []
    for place, part in enumerate(rows):
        named.append(tmp_path / f"named{place}.npz")
        bare.append(tmp_path / f"bare{place}.npy")
        np.savez(named[-1], features=x[part], ids=ids[part])
        np.save(bare[-1], x[part])
    return named, bare


def test_files_one_after_the_other_are_the_table(parts, x):
    named, bare = parts
    ids = [f"i{n}" for n in range(60)]
    for paths, known in ((named, ids), (named, None), (bare, ids), (bare, None)):
        got = graph_features(paths, GraphFile(60, known, {}))
        np.testing.assert_array_equal(got, x)


def test_ids_put_every_row_where_the_graph_has_it(parts, x):
    named, _ = parts
    order = np.random.default_rng(2).permutation(60)
    file = GraphFile(61, ["nobody", *(f"i{n}" for n in order)], {})
    got = graph_features(named, file)
    np.testing.assert_array_equal(got[1:], x[order])
    assert not got[0].any()


def test_rows_without_ids_are_items_by_number(tmp_path, x):
    """Also before a file with ids, in any order, as an insert leaves them."""
    order = np.random.default_rng(2).permutation(60)
    np.save(tmp_path / "old.npy", x[:40])
    np.save(tmp_path / "all.npy", x)
    np.savez(tmp_path / "new.npz", features=x[:39:-1], ids=np.arange(59, 39, -1))
    files = [tmp_path / "old.npy", tmp_path / "new.npz"]
    got = graph_features(files, GraphFile(60, list(range(60)), {}))
    np.testing.assert_array_equal(got, x)
    got = graph_features([tmp_path / "all.npy"], GraphFile(60, order.tolist(), {}))
    np.testing.assert_array_equal(got, x[order])
    with pytest.raises(UserError, match=r"new\.npz: 60 rows, but the graph has 50 it"):
        graph_features(files, GraphFile(50, list(range(50)), {}))


def test_features_that_do_not_fit_are_refused(tmp_path, parts, x):
    named, bare = parts
    np.save(tmp_path / "narrow.npy", x[:, :3])
    np.savez(tmp_path / "other.npz", features=x, ids=np.arange(60) + 100)
    file = GraphFile(60, [f"i{n}" for n in range(60)], {})
    cases = [
        (bare[:1], r"bare0\.npy: 25 rows, but the graph has 60 items - give the feat"),
        ([tmp_path / "other.npz"], r"other\.npz: item 100 is not in the graph"),
        (
            [named[0], tmp_path / "narrow.npy"],
            r"narrow\.npy: 3 dimensions, but .*named0\.npz has 8 - give features of on",
        ),
        ([tmp_path / "no.npy"], r"no\.npy: no such file"),
    ]
    for paths, message in cases:
        with pytest.raises(UserError, match=message):
            graph_features(paths, file)


def test_two_rows_of_one_item_are_refused(tmp_path, parts, x):
    named, _ = parts
    file = GraphFile(60, [f"i{n}" for n in range(60)], {})
    ids = np.array([f"i{n}" for n in range(60)])
    ids[57] = "i4"
    np.savez(tmp_path / "twice.npz", features=x, ids=ids)
    np.savez(tmp_path / "again.npz", features=x[:3], ids=["i26", "i59", "i25"])
    message = r"twice\.npz: item id 'i4' stands at rows 4 and 57 .* - keep one row per"
    for known in (file, GraphFile(60, None, {})):
        with pytest.raises(UserError, match=message):
            graph_features([tmp_path / "twice.npz"], known)
    message = (
        r"again\.npz: item id 'i25' at row 2 \(counted from 0\) is in .*named1\.npz as "
        r"well - keep one row per item in the files of a graph$"
    )
    with pytest.raises(UserError, match=message):
        graph_features([*named[:2], tmp_path / "again.npz"], file)
