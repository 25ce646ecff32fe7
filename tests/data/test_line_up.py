from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from mmgraph.data import (
    GraphFile,
    graph_features,
    line_up_features,
    load_dataset,
    open_features,
)
from mmgraph.data.formats.npy import as_tensor
from mmgraph.errors import UserError
from mmgraph.knn import knn_graph

KINDS = {
    "integers and strings": (lambda ids: ids, lambda ids: ids.astype(str)),
    "integers": (lambda ids: ids, lambda ids: ids),
    "strings": (lambda ids: ids.astype(str), lambda ids: ids.astype(str)),
}


@pytest.mark.parametrize("kinds", KINDS)
def test_every_door_has_the_same_items_in_the_same_order(tmp_path, knn, x, kinds):
    """Integer ids in one file, the same as strings in the other, neither in order."""
    rng = np.random.default_rng(3)
    kind_a, kind_b = KINDS[kinds]
    of_a, of_b = rng.permutation(60)[:50], rng.permutation(60)[:40]
    np.savez(tmp_path / "a.npz", features=x[of_a], ids=kind_a(of_a))
    np.savez(tmp_path / "b.npz", features=x[of_b, :4], ids=kind_b(of_b))
    rows = "\n".join(f"u{n % 7},{n},{min(n % 5, 2)}" for n in of_a)
    (tmp_path / "interactions.csv").write_text(f"user,item,split\n{rows}\n")
    order = sorted({*of_a, *of_b}, key=int if kinds == "integers" else str)
    ids = [int(n) if kinds == "integers" else str(n) for n in order]
    matrices = {}
    for name, own, dim in (("a", of_a, 8), ("b", of_b, 4)):
        matrices[name] = np.array(
            [x[n, :dim] if n in own else np.zeros(dim) for n in order], np.float32
        )

    train, *_ = load_dataset(tmp_path)
    assert train["item"].raw_id.tolist() == ids
    files = {name: tmp_path / f"{name}.npz" for name in ("a", "b")}
    assert line_up_features(files).ids.tolist() == ids
    knn("build", *files.values(), "--k", 3, "--out", tmp_path / "g.pt")
    graph = torch.load(tmp_path / "g.pt", weights_only=True)
    assert graph["item"]["raw_id"] == ids
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(train["item"][f"x_{name}"], matrix)
        np.testing.assert_array_equal(open_features(tmp_path)[name].matrix, matrix)
        got = graph_features([files[name]], GraphFile(len(ids), ids, {}))
        np.testing.assert_array_equal(got, matrix)
        store = graph["item", f"similar_{name}", "item"]
        assert torch.equal(store["edge_index"], knn_graph(matrix, 3)[0])
    words = [word for path in files.values() for word in ("--features", path)]
    checked = knn("verify", tmp_path / "g.pt", *words, "--rows", 0)["graphs"]
    assert all(row["wrong_rows"] == 0 for row in checked.values())
    assert all(row["same_features"] for row in checked.values())


@pytest.mark.parametrize("spell", [int, str])
def test_beside_a_file_without_ids_both_kinds_are_row_numbers(tmp_path, knn, x, spell):
    order = np.random.default_rng(1).permutation(60)[:50]
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", features=x[order], ids=[spell(n) for n in order])
    rows = "\n".join(f"u{n % 7},{n},{min(n % 5, 2)}" for n in range(60))
    (tmp_path / "interactions.csv").write_text(f"user,item,split\n{rows}\n")
    train, *_ = load_dataset(tmp_path)
    files = [tmp_path / "a.npy", tmp_path / "b.npz"]
    knn("build", *files, "--out", tmp_path / "g.pt")
    graph = torch.load(tmp_path / "g.pt", weights_only=True)
    assert train["item"].raw_id.tolist() == graph["item"]["raw_id"] == [*range(60)]
    np.testing.assert_array_equal(
        train["item"].x_b, open_features(tmp_path)["b"].matrix
    )
    np.savez(tmp_path / "b.npz", features=x[:2], ids=[spell(3), spell(60)])
    message = rf"b\.npz: item id {spell(60)!r} at row 1 .* no row number of a\.npy"
    with pytest.raises(UserError, match=message):
        load_dataset(tmp_path)
    with pytest.raises(UserError, match=message):
        open_features(tmp_path)
    with pytest.raises(UserError, match=message):
        knn("build", *files, "--out", tmp_path / "g.pt")


def test_rows_without_ids_are_row_numbers_however_the_graph_spells_them(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    names = sorted(map(str, range(60)))
    got = graph_features([tmp_path / "a.npy"], GraphFile(60, names, {}))
    np.testing.assert_array_equal(got, x[[int(name) for name in names]])


def test_files_with_ids_meet_over_all_their_ids(tmp_path, knn, x):
    """Rows in another order, and items that one file lacks."""
    ids = np.array([f"i{n:02d}" for n in range(60)])
    np.savez(tmp_path / "a.npz", features=x[:50], ids=ids[:50])
    np.savez(tmp_path / "b.npz", features=x[:9:-1], ids=ids[:9:-1])
    files = {name: tmp_path / f"{name}.npz" for name in ("a", "b")}
    padded = {"a": x.copy(), "b": x.copy()}
    padded["a"][50:] = 0
    padded["b"][:10] = 0
    items = line_up_features(files)
    assert items.ids.tolist() == ids.tolist()
    assert [rows.missing.sum() for rows in items.features.values()] == [10, 10]
    knn("build", *files.values(), "--k", 4, "--out", tmp_path / "g.pt")
    graph = torch.load(tmp_path / "g.pt", weights_only=True)
    for name, table in padded.items():
        np.testing.assert_array_equal(items.features[name].matrix, table)
        edge_index, _ = knn_graph(torch.from_numpy(table), 4)
        store = graph["item", f"similar_{name}", "item"]
        assert torch.equal(store["edge_index"], edge_index)
    assert graph["item"]["num_nodes"] == 60


def test_integer_ids_are_rows_of_the_files_without(tmp_path, knn, x):
    """As in a data folder: row = item id, and an item may be missing."""
    order = np.random.default_rng(1).permutation(60)[:50]
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", features=x[order], ids=order)
    files = {"a": tmp_path / "a.npy", "b": tmp_path / "b.npz"}
    items = line_up_features(files)
    assert items.ids.tolist() == list(range(60))
    assert [rows.missing.sum() for rows in items.features.values()] == [0, 10]
    for name, rows in open_features(tmp_path).items():
        np.testing.assert_array_equal(items.features[name].matrix, rows.read(0, 60))
    assert line_up_features({"a": tmp_path / "a.npy"}).ids is None
    graph = tmp_path / "g.pt"
    knn("build", *files.values(), "--k", 4, "--out", graph)
    words = [word for path in files.values() for word in ("--features", path)]
    assert knn("verify", graph, *words, "--rows", 0)["graphs"]["b"]["wrong_rows"] == 0


def test_files_that_do_not_go_together_are_refused(tmp_path, x):
    np.savez(tmp_path / "a.npz", features=x, ids=np.arange(60))
    np.savez(tmp_path / "twice.npz", features=x, ids=np.arange(60) % 58)
    np.savez(tmp_path / "text.npz", features=x, ids=[f"i{n}" for n in range(60)])
    np.save(tmp_path / "b.npy", x)
    np.save(tmp_path / "short.npy", x[:5])
    cases = [
        (["b.npy", "short.npy"], r"short\.npy: 5 rows, but b\.npy has 60 - "),
        (["a.npz", "short.npy"], r"a\.npz: item id 5 at row 5 .* no row number of sh"),
        (
            ["b.npy", "text.npz"],
            r"text\.npz: item id 'i0' at row 0 .* of b\.npy, which",
        ),
        (["twice.npz"], r"twice\.npz: item id 0 stands at rows 0 and 58 .* keep one r"),
        (["b.npy", "twice.npz"], r"twice\.npz: item id 0 stands at rows 0 and 58"),
    ]
    for names, message in cases:
        with pytest.raises(UserError, match=message):
            line_up_features({name: tmp_path / name for name in names})


def test_a_row_that_is_refused_is_named_wherever_it_is(tmp_path):
    x = np.ones((70_000, 1), dtype=np.float32)
    x[69_123], x[69_500] = 0, np.nan
    np.save(tmp_path / "x.npy", x)
    names = {"x": tmp_path / "x.npy"}
    with pytest.raises(UserError, match=r"x\.npy: row 69500 .* holds NaN"):
        line_up_features(names)
    with pytest.raises(UserError, match=r"row 69123 .* is zero - leave the row out"):
        line_up_features(names, nan="isolate", zero="refuse")
    items = line_up_features(names, nan="isolate")
    np.testing.assert_array_equal(items.features["x"].matrix, x)


def test_a_table_on_disk_becomes_a_tensor_without_a_copy_or_a_warning(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    table = line_up_features({"x": tmp_path / "x.npy"}).features["x"].matrix
    assert isinstance(table, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = as_tensor(table)
    assert tensor.data_ptr() == table.ctypes.data
    np.testing.assert_array_equal(tensor, x)


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


def test_a_text_beside_an_archive_is_a_file_of_features_like_any(tmp_path, knn, x):
    order = np.random.default_rng(0).permutation(60)
    rows = [f"i{n}," + ",".join(map(repr, x[n].tolist())) for n in order]
    header = "item_id," + ",".join(f"f{n}" for n in range(8))
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]))
    np.savez(tmp_path / "b.npz", features=x, ids=[f"i{n}" for n in range(60)])
    files = {"a": tmp_path / "a.csv", "b": tmp_path / "b.npz"}
    items = line_up_features(files)
    assert np.array_equal(items.features["a"].matrix, items.features["b"].matrix)
    knn("build", *files.values(), "--k", 4, "--out", tmp_path / "g.pt")
    graph = torch.load(tmp_path / "g.pt", weights_only=True)
    one, other = (graph[("item", f"similar_{name}", "item")] for name in files)
    assert torch.equal(one["edge_index"], other["edge_index"])


def test_a_text_in_a_folder_of_data_is_left_alone(tmp_path, caplog, x):
    np.savez(tmp_path / "visual.npz", features=x[:2], ids=["i0", "i1"])
    (tmp_path / "interactions.csv").write_text("user,item,split\nu,i0,0\nu,i1,1\n")
    (tmp_path / "prices.csv").write_text("item_id,price\ni0,3\ni1,4\n")
    assert list(open_features(tmp_path)) == ["visual"]
