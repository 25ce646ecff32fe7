from __future__ import annotations

import pytest
import torch

from mmgraph.bench.source import DataSource
from mmgraph.data import fingerprint, write_dataset
from mmgraph.errors import UserError
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
