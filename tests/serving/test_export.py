from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from mmgraph.bench.run_directory import load_run
from mmgraph.errors import UserError
from mmgraph.folders import check_content, check_contents
from mmgraph.serving import vector_files
from mmgraph.serving.export import export_run
from mmgraph.serving.vectors import final_vectors

FORMATS = ["parquet", "npy", "safetensors", "faiss", "hnsw"]


@pytest.fixture(scope="module")
def run(vbpr) -> Path:
    return vbpr


@pytest.fixture(scope="module")
def export(run, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("exports") / "vectors"
    return out, export_run(run, out, FORMATS, k=10, device="cpu")


def read_back(out: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Users' and items' vectors as a user of the files would read them."""
    if name == "parquet":
        users, items = (
            np.stack(pd.read_parquet(out / f"{kind}_vectors.parquet")["vector"])
            for kind in ("user", "item")
        )
    elif name == "npy":
        users, items = (
            np.load(out / f"{kind}_vectors.npy") for kind in ("user", "item")
        )
    else:
        tensors = load_file(out / "vectors.safetensors")
        users, items = tensors["user_vectors"], tensors["item_vectors"]
    return users, items


def share_found(best: np.ndarray, found: np.ndarray) -> float:
    pairs = zip(best, found, strict=True)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))


@pytest.mark.parametrize("name", ["parquet", "npy", "safetensors"])
def test_inner_products_of_the_files_are_the_scores(run, export, name):
    loaded = load_run(run)
    with torch.no_grad():
        z_user, z_item = loaded.model.encode(loaded.splits[0])
        score = loaded.model.score(z_user, z_item).double().numpy()
    users, items = read_back(export[0], name)
    product = users.astype(np.float64) @ items.astype(np.float64).T
    np.testing.assert_allclose(product, score, rtol=0, atol=1e-6 * np.abs(score).max())


def test_rows_are_named_by_the_ids_of_the_data(run, export):
    train = load_run(run).splits[0]
    for kind in ("user", "item"):
        ids = list(train[kind].raw_id)
        assert list(pd.read_csv(export[0] / f"{kind}_ids.csv")[f"{kind}_id"]) == ids
        table = pd.read_parquet(export[0] / f"{kind}_vectors.parquet")
        assert list(table[f"{kind}_id"]) == ids


def test_the_flat_index_finds_what_a_whole_product_finds(export):
    users, items = read_back(export[0], "npy")
    index = faiss.read_index(str(export[0] / "items.faiss"))
    score, found = index.search(users, 5)
    product = users.astype(np.float64) @ items.astype(np.float64).T
    near = {"rtol": 0, "atol": 1e-6 * np.abs(product).max()}
    np.testing.assert_allclose(score, -np.sort(-product, axis=1)[:, :5], **near)
    np.testing.assert_allclose(np.take_along_axis(product, found, 1), score, **near)


def test_the_approximate_index_says_how_much_it_finds(export):
    out, about = export
    users, items = read_back(out, "npy")
    index = faiss.read_index(str(out / "items_hnsw.faiss"))
    _, found = index.search(users, 10)
    best = np.argsort(-(users @ items.T), axis=1)[:, :10]
    share = share_found(best, found)
    assert about["formats"]["hnsw"]["approximate"] is True
    assert about["formats"]["hnsw"]["found"] == pytest.approx(share, abs=2e-3)
    assert share > 0.9  # or the index would be of no use


def test_the_folder_says_what_it_holds_and_that_it_is_whole(export):
    out, about = export
    written = json.loads((out / "export.json").read_text())
    written.pop("checksum")
    assert written == about
    assert about["system"].startswith("VBPR")
    assert about["score_is_inner_product"] is True
    assert about["zero_vectors"] == {"users": 0, "items": 0}
    assert about["checked"] == {"users": about["users"], "k": 10}
    assert {n for n, f in about["formats"].items() if f["found"] == 1.0} >= {"npy"}
    check_contents(out)
    path = out / "item_vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    try:
        path.write_bytes(content)
        with pytest.raises(UserError, match="damaged, or changed since it was made"):
            check_content(path)
    finally:
        content[-1] ^= 1
        path.write_bytes(content)


def test_users_of_whom_nothing_is_known_are_not_compared(run, tmp_path, monkeypatch):
    vectors = final_vectors(load_run(run))
    vectors.user[7:] = 0
    monkeypatch.setattr("mmgraph.serving.export.final_vectors", lambda _: vectors)
    about = export_run(run, tmp_path / "some", ["hnsw"], k=10, device="cpu")
    assert about["checked"]["users"] == 7
    assert about["zero_vectors"]["users"] == len(vectors.user) - 7
    assert about["formats"]["hnsw"]["found"] > 0.9
    vectors.user[:] = 0
    about = export_run(run, tmp_path / "none", ["npy"], k=10, device="cpu")
    assert about["formats"]["npy"]["found"] == 1.0


def test_vectors_of_a_system_with_another_score_are_written_and_not_compared(
    pamd, tmp_path
):
    run = pamd
    about = export_run(run, tmp_path / "out", ["npy"], k=10, device="cpu")
    assert about["score_is_inner_product"] is False
    assert about["formats"]["npy"]["found"] is None
    loaded = load_run(run)
    with torch.no_grad():
        z = loaded.model.ranking_embeddings(loaded.model.add_graphs(loaded.splits[0]))
    written = read_back(tmp_path / "out", "npy")
    for mine, theirs in zip(z, written, strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), theirs)
    with pytest.raises(UserError, match="an index finds inner products, and PAMD's"):
        export_run(run, tmp_path / "index", ["npy", "faiss"], device="cpu")
    assert not (tmp_path / "index").exists()


def test_a_file_that_ranks_otherwise_is_refused_and_nothing_is_left(
    run, tmp_path, monkeypatch
):
    kind = vector_files.VECTOR_FORMATS["npy"]

    def write(folder, vectors):
        kind.write(folder, vectors)
        np.save(folder / "item_vectors.npy", vectors.item.numpy()[::-1])

    monkeypatch.setitem(vector_files.VECTOR_FORMATS, "npy", kind._replace(write=write))
    with pytest.raises(UserError, match="npy, read back, does not rank as the system"):
        export_run(run, tmp_path / "out", ["npy"], device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match="mine"):
            export_run(run, tmp_path / "mine", ["npy"], force=force, device="cpu")
    export_run(run, tmp_path / "out", ["npy"], device="cpu")
    export_run(run, tmp_path / "out", ["parquet"], force=True, device="cpu")
    assert not (tmp_path / "out" / "item_vectors.npy").exists()
    assert (tmp_path / "mine" / "a.txt").read_text() == "mine"


def test_without_faiss_an_index_is_refused_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(UserError, match=r"an index needs FAISS.*mmgraph\[cpu\]"):
        export_run(run, tmp_path / "out", ["faiss"], device="cpu")
    assert list(tmp_path.iterdir()) == []
