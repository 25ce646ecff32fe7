from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib import format as npy_format

from mmgraph.analysis.leaderboard.table import build_leaderboard
from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.results_folder import read_results
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run, recommend_run, train_run
from mmgraph.data import catalogue, fingerprint, write_dataset
from mmgraph.errors import UserError
from mmgraph.models import registry
from mmgraph.models.light_gcn import LightGCN
from mmgraph.schema import INTERACTS


def test_a_folder_is_named_by_itself_and_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    monkeypatch.chdir(tmp_path / "toy")
    for spelt in (".", "../toy", "../toy/"):
        source = DataSource(spelt)
        assert (source.name, source.is_embedded) == ("toy", False)
        assert source.location == str((tmp_path / "toy").resolve())


def test_the_embedded_data_have_no_folder():
    source = DataSource("synthetic")
    assert (source.name, source.location) == ("synthetic", "synthetic")
    assert source.is_embedded


def test_what_is_loaded_is_what_was_written(splits, tmp_path):
    write_dataset(*splits, tmp_path / "toy")
    loaded, sha256 = DataSource(str(tmp_path / "toy")).load()
    for mine, original in zip(loaded, splits, strict=True):
        pairs = mine[INTERACTS].edge_label_index, original[INTERACTS].edge_label_index
        assert torch.equal(*(each.sort(dim=1).values for each in pairs))
    assert sha256 == fingerprint(*loaded)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder - give a data folder"):
        DataSource(str(tmp_path / "nowhere")).load()


ID_SYSTEMS = ["MF-BPR", "LightGCN", "LayerGCN"]


def _folder(path, splits, layout):
    """A folder with features; in the general layout of an item nobody has seen, too."""
    path.mkdir()
    parts = [split[INTERACTS].edge_label_index.T.tolist() for split in splits]
    items = sorted({item for part in parts for _, item in part})
    number = {old: new for new, old in enumerate(items)}
    mmrec = layout == "mmrec"
    rows = [["userID", "itemID", "x_label"] if mmrec else ["user", "item", "split"]]
    for label, part in enumerate(parts):
        rows += [[str(user), str(number[old]), str(label)] for user, old in part]
    lines = "\n".join(("\t" if mmrec else ",").join(row) for row in rows)
    features = np.ones((len(items) + (not mmrec), 3), np.float32)
    if mmrec:
        (path / "toy.inter").write_text(lines)
        np.save(path / "image_feat.npy", features)
    else:
        (path / "interactions.csv").write_text(lines)
        np.savez(path / "visual.npz", features=features, ids=np.arange(len(features)))
    return path


def _train(folder, out, **options):
    run = run_config(parse_spec("LightGCN"), {"embedding_dim": 4, "epochs": 1})
    return train_run(run, DataSource(str(folder)), out, device="cpu", **options)


@pytest.mark.parametrize("layout", ["mmrec", "general"])
def test_id_systems_never_read_features(splits, tmp_path, monkeypatch, layout):
    folder = _folder(tmp_path / "data", splits, layout)
    whole, _ = DataSource(str(folder)).load()
    items = whole[0]["item"].num_nodes
    seen = [split[INTERACTS].edge_label_index[1] for split in whole]
    unseen = items - torch.cat(seen).unique().numel()
    assert unseen == (layout == "general")
    monkeypatch.setattr(catalogue, "read_feature_matrix", None)
    if layout == "mmrec":  # not even opened
        (folder / "image_feat.npy").unlink()
        (folder / "image_feat.npy").mkdir()
    else:  # their ids say which items there are
        read = npy_format.read_array

        def no_matrix(file, **options):
            array = read(file, **options)
            assert array.ndim == 1
            return array

        monkeypatch.setattr(npy_format, "read_array", no_matrix)
    info = _train(folder, tmp_path / "run")
    assert info["counts"]["items"] == items
    assert evaluate_run(tmp_path / "run") == pytest.approx(info["metrics"]["test"])
    recommend_run(tmp_path / "run", tmp_path / "top.csv")
    assert _train(folder, tmp_path / "run", resume=True) == info
    out = tmp_path / "bench"
    lines = run_benchmark(
        [parse_spec(name) for name in ID_SYSTEMS],
        DataSource(str(folder)),
        out,
        seeds=[1],
        settings={"embedding_dim": 4, "epochs": 1},
        device="cpu",
    )
    assert [line["model"] for line in lines] == ["Popularity", *ID_SYSTEMS]


def test_an_id_system_has_the_results_that_it_has_with_features(splits, tmp_path):
    folder = _folder(tmp_path / "data", splits, "general")
    source = DataSource(str(folder))
    bare = _train(folder, tmp_path / "bare")
    run = run_config(parse_spec("LightGCN"), {"embedding_dim": 4, "epochs": 1})
    whole = train_run(
        run, source, tmp_path / "whole", device="cpu", loaded=source.load()
    )
    assert whole["metrics"] == bare["metrics"]
    assert whole["data_sha256"] != bare["data_sha256"]
    assert whole["interactions_sha256"] == bare["interactions_sha256"]


def test_results_of_an_id_system_with_features_are_used(splits, tmp_path):
    """Versions before 0.4 read the features for every system."""
    folder = _folder(tmp_path / "data", splits, "general")
    source = DataSource(str(folder))
    run = run_config(parse_spec("LightGCN"), {"embedding_dim": 4, "epochs": 1})
    old = train_run(run, source, tmp_path / "run", device="cpu", loaded=source.load())
    assert evaluate_run(tmp_path / "run") == pytest.approx(old["metrics"]["test"])
    assert _train(folder, tmp_path / "run", resume=True) == old


def test_a_subclass_of_an_id_system_gets_features(splits, monkeypatch):
    class Reader(LightGCN):
        """May read what it likes."""

    monkeypatch.setitem(registry.MODELS, "Reader", Reader)
    assert registry.reads_features("Reader")
    assert [n for n in registry.MODELS if not registry.reads_features(n)] == ID_SYSTEMS


def test_a_benchmark_goes_on_with_the_data_that_it_has(splits, tmp_path):
    folder = _folder(tmp_path / "data", splits, "general")

    def bench(*names, resume=False):
        return run_benchmark(
            [parse_spec(name) for name in names],
            DataSource(str(folder)),
            tmp_path / "bench",
            seeds=[1],
            settings={"embedding_dim": 4, "epochs": 1},
            device="cpu",
            resume=resume,
        )

    both = bench("LightGCN", "VBPR")
    assert bench("LightGCN", resume=True) == both[:2]
    bench("LightGCN")
    bench("LightGCN", "VBPR", resume=True)
    board = build_leaderboard(read_results(tmp_path / "bench"))
    assert {"LightGCN", "VBPR"} <= {row.label for row in board.rows}
