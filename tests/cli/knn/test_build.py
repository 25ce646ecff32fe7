from __future__ import annotations

import json
import resource

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch_geometric.data import HeteroData
from typer.testing import CliRunner

from mmgraph.cli.knn import app
from mmgraph.data import read_graph
from mmgraph.data.formats.layout import feature_files
from mmgraph.errors import UserError
from mmgraph.files import read_json
from mmgraph.knn import knn_graph
from mmgraph.knn.digest import feature_digest, graph_digest

KEYS = [
    "num_nodes",
    "k",
    "num_edges",
    "metric",
    "backend",
    "exact",
    "recall",
    "zero_rows",
    "nan_rows",
    "duplicate_groups",
    "components",
    "input_sha256",
    "graph_sha256",
    "seconds",
    "peak_memory_bytes",
]


def run(*words):
    command = ["build", *map(str, words), "--device", "cpu"]
    result = CliRunner().invoke(app, command)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def x():
    table = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    table[7] = 0
    table[10:13] = table[20]
    table[40] = table[41]
    return table


def test_json_has_the_promised_keys_and_values(tmp_path, x):
    np.save(tmp_path / "image_feat.npy", x)
    out = tmp_path / "graph.npz"
    report = tmp_path / "report.json"
    words = ("--k", 4, "--out", out, "--report", report, "--json")
    result = json.loads(run(tmp_path / "image_feat.npy", *words))
    assert list(result)[: len(KEYS)] == KEYS
    assert read_json(report) == result
    edge_index, similarity = knn_graph(x, 4)
    want = {
        "num_nodes": 60,
        "k": 4,
        "num_edges": 59 * 4,
        "metric": "cosine",
        "exact": True,
        "recall": None,
        "zero_rows": 1,
        "nan_rows": 0,
        "duplicate_groups": 2,
        "input_sha256": feature_digest(x),
        "graph_sha256": graph_digest(edge_index, similarity),
    }
    assert {key: result[key] for key in want} == want
    assert 0 < result["seconds"] < 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # Two counters of the kernel, updated a few pages apart.
    assert 0 < result["peak_memory_bytes"] <= 1.01 * peak


def test_npz_is_a_scipy_matrix_of_similarities(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    run(tmp_path / "a.npy", "--k", 4, "--metric", "l2", "--out", tmp_path / "g.npz")
    matrix = sparse.load_npz(tmp_path / "g.npz")
    (neighbour, centre), similarity = knn_graph(x, 4, metric="l2")
    assert matrix.shape == (60, 60)
    assert matrix.nnz == len(similarity)
    got = np.asarray(matrix.todense())[centre, neighbour]
    np.testing.assert_array_equal(got, similarity)


def test_several_files_make_one_hetero_data(tmp_path, x):
    ids = np.array([f"i{n:02d}" for n in range(60)])
    np.savez(tmp_path / "text_feat.npz", features=x[:, :3], ids=ids)
    pd.DataFrame({"item_id": ids, "vector": list(x)}).to_parquet(
        tmp_path / "depth.parquet"
    )
    files = (tmp_path / "text_feat.npz", tmp_path / "depth.parquet")
    out = tmp_path / "graph.pt"
    result = json.loads(run(*files, "--k", 3, "--out", out, "--json"))
    assert list(result["graphs"]) == ["textual", "depth"]
    data = HeteroData.from_dict(torch.load(out, weights_only=True))
    assert data["item"].num_nodes == 60
    assert data["item"].raw_id == ids.tolist()
    for name, table in (("textual", x[:, :3]), ("depth", x)):
        store = data["item", f"similar_{name}", "item"]
        edge_index, similarity = knn_graph(np.ascontiguousarray(table), 3)
        assert torch.equal(store.edge_index, edge_index)
        assert torch.equal(store.edge_sim, similarity)


def test_the_graph_is_the_same_for_every_backend_and_format(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", features=x)
    backends = ["torch", "auto"]
    hashes = {
        json.loads(run(path, "--backend", name, "--out", tmp_path / "g.pt", "--json"))[
            "graph_sha256"
        ]
        for path in (tmp_path / "a.npy", tmp_path / "b.npz")
        for name in backends
    }
    assert len(hashes) == 1


def test_errors_name_file_and_remedy_and_leave_no_output(tmp_path, x):
    good, short, broken = (tmp_path / f"{n}.npy" for n in ("good", "short", "broken"))
    np.save(good, x)
    np.save(short, x[:5])
    x[33, 2] = np.nan
    np.save(broken, x)
    out, folder = tmp_path / "g.pt", tmp_path / "folder.pt"
    folder.mkdir()
    folder.with_suffix(".html").mkdir()
    folder.with_suffix(".npz").symlink_to(good)
    cases = [
        ((broken, "--out", out), r"broken.npy: row 33 .* NaN"),
        ((good, short, "--out", out), r"short.npy: 5 rows, but good.npy has 60"),
        ((good, good, "--out", out), r"good.npy: .* both 'good' - rename one"),
        ((good, "--out", tmp_path / "g.csv"), r"'g.csv' - name it .pt, .npz or .pa"),
        ((good, short, "--out", tmp_path / "g.npz"), r"'g.npz' holds one graph only"),
        (
            (tmp_path / "no.npy", "--out", folder),
            r"folder\.pt: is a folder - choose an",
        ),
        (
            (
                tmp_path / "no.npy",
                "--out",
                out,
                "--report",
                folder.with_suffix(".html"),
            ),
            r"folder\.html: is a folder - choose another --report",
        ),
        (
            (good, "--metric", "dot", "--out", out),
            r"^kNN graph: 'metric' must be one of 'cosine', 'ip', 'l2' \(got 'dot'\)",
        ),
        ((tmp_path / "no.npy", "--out", out), r"no.npy: no such file"),
        (
            (good, "--out", folder.with_suffix(".npz")),
            r"folder\.npz: is a (link|file of features)|is read by this command",
        ),
    ]
    for words, message in cases:
        with pytest.raises(UserError, match=message):
            run(*words)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "broken.npy",
        "folder.html",
        "folder.npz",
        "folder.pt",
        "good.npy",
        "short.npy",
    ]


@pytest.mark.parametrize("table", ["interactions.csv", "interactions.parquet"])
def test_a_data_folder_gets_no_modality_that_is_a_graph(tmp_path, x, table):
    np.save(tmp_path / "visual.npy", x)
    (tmp_path / table).touch()
    words = (tmp_path / "visual.npy", "--k", 2, "--out")
    for name in ("graph.npz", "graph.parquet"):
        message = rf"{name}: would be part of the data there - choose another"
        with pytest.raises(UserError, match=message):
            run(*words, tmp_path / name)
    run(*words, tmp_path / "graph.pt")
    assert list(feature_files(tmp_path, mmrec=False)) == ["visual"]
    (tmp_path / "graphs").mkdir()
    run(*words, tmp_path / "graphs" / "graph.npz")


def catalogue(path, x, skus):
    """A table as a shop has it: other columns, and ids of a name of its own."""
    columns = {f"f{n}": x[:, n] for n in range(x.shape[1])}
    table = pd.DataFrame({"title": "Tea, 1 kg", "sku": skus, **columns})
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_of_any_column_stay_with_their_rows(tmp_path, knn, x, suffix):
    """Built, verified and grown as from a file whose ids have a usual name."""
    skus = np.array([f"{n:03d}" for n in np.random.default_rng(1).permutation(60)])
    for name, part in (("old", slice(50)), ("new", slice(50, 60))):
        np.savez(tmp_path / f"{name}.npz", features=x[part], ids=skus[part])
        catalogue(tmp_path / f"{name}{suffix}", x[part], skus[part])
    made = {}
    for kind, words in ((".npz", ()), (suffix, ("--id-col", "sku"))):
        old, new, graph = (tmp_path / f"{n}{kind}" for n in ("old", "new", "graph"))
        graph = graph.with_suffix(f"{kind}.pt")
        knn("build", old, "--k", 4, "--out", graph, *words)
        whole = ("--features", old, "--rows", 0)
        assert knn("verify", graph, *whole)["wrong_rows"] == 0
        knn("insert", graph, "--features", new, "--out", graph)
        made[kind] = read_graph(graph)
    assert made[suffix].ids == made[".npz"].ids
    first, second = (made[kind].graphs["old"] for kind in (".npz", suffix))
    assert torch.equal(first.edge_index, second.edge_index)
    assert knn("info", graph)["id_column"] == "sku"
    assert knn("verify", graph, "--features", old, "--features", new)["same_features"]


def test_files_with_usual_ids_lie_beside_one_whose_column_is_named(tmp_path, knn, x):
    ids = np.arange(60)
    np.savez(tmp_path / "text.npz", features=x, ids=ids)
    image = catalogue(tmp_path / "image.csv", x[::-1], ids[::-1])
    files = (tmp_path / "text.npz", image)
    out = tmp_path / "g.pt"
    result = knn("build", *files, "--k", 4, "--id-col", "sku", "--out", out)
    hashes = {graph["graph_sha256"] for graph in result["graphs"].values()}
    assert hashes == {graph_digest(*knn_graph(torch.from_numpy(x), 4))}


def test_an_id_column_that_no_file_has_is_refused(tmp_path, x):
    path = catalogue(tmp_path / "a.csv", x[:, :1], np.arange(60))
    out = tmp_path / "g.pt"
    message = "no feature file has a column 'asin' - name one of 'f0', 'sku', 'title'"
    with pytest.raises(UserError, match=message):
        run(path, "--id-col", "asin", "--out", out)
    with pytest.raises(UserError, match=r"'title' .* by --id-col in data import and"):
        run(path, "--out", out)
    assert not out.exists()
