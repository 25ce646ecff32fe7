"""Training with embeddings that processes share gives what one process gives."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from every_system import check, same_history, train_all, train_and_keep
from safetensors.torch import load_file

from mmgraph.distributed.world import World
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.train import Trainer
from mmgraph.train.sharding import column_tables
from mmgraph.train.sharding.column_tables import (
    ColumnTable,
    join_tables,
    shared_dim,
    shared_weights,
    split_tables,
)

SHARED = "shard_embeddings=true,embedding_dim=10"
SAMPLED = "sampled_neighbors=[3,3,3]"
SPECS = [
    f"MF-BPR:{SHARED}",
    f"MF-BPR@released:{SHARED},optimizer=sparse-adam",
    f"LightGCN:{SHARED}",
    f"LightGCN@released:{SHARED},{SAMPLED}",
    f"LightGCN:{SHARED},{SAMPLED},optimizer=sparse-adam",
]


@pytest.mark.parametrize("count", [2, 4])
def test_fifty_steps_are_those_of_one_process(launch, tmp_path, count):
    check(launch, tmp_path, count, SPECS, epochs=13, rel=1e-6)


def test_with_one_process_nothing_is_shared():
    for spec in SPECS:
        found = train_all([spec], 2)[spec]
        plain = spec.replace("shard_embeddings=true,", "")
        assert found == train_all([plain], 2)[plain]


@pytest.mark.parametrize("spec", [SPECS[0], SPECS[4]])
def test_a_run_goes_on_in_another_number_of_processes(launch, tmp_path, spec):
    """Bit-equal in the same number; with shared embeddings and without."""

    def train(count, name, spec, epochs):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        outputs = launch(count, train_and_keep, str(folder), spec, epochs).outputs()
        assert [code for code, *_ in outputs] == [0] * count, outputs
        first, *others = (load_file(folder / f"model-{rank}") for rank in range(count))
        assert first["user.weight"].shape == (60, 10)
        for other in others:
            assert all(other[key].equal(value) for key, value in first.items())
        return first, json.loads((folder / "rows-0").read_text())

    train(2, "two", spec, 1)
    for name in ("three", "one"):
        shutil.copytree(tmp_path / "two", tmp_path / name)
    (whole, rows), (resumed, resumed_rows) = (
        train(2, name, spec, 3) for name in ("whole", "two")
    )
    assert all(resumed[key].equal(value) for key, value in whole.items())
    assert resumed_rows == rows
    same_history(spec, rows, train(3, "three", spec, 3)[1])
    plain = spec.replace("shard_embeddings=true,", "")
    same_history(spec, rows, train(1, "one", plain, 3)[1])


@pytest.fixture
def as_second_of_three(monkeypatch):
    monkeypatch.setattr(column_tables, "world", lambda: World(1, 3))


def test_a_process_has_its_columns(splits, as_second_of_three):
    model = build_model("LightGCN", splits[0], embedding_dim=7)
    user, item = model.user.weight.detach(), model.item.weight.detach()
    assert shared_dim(model) is None
    split_tables(model)
    assert isinstance(model.user, ColumnTable)
    assert model.user.weight.equal(user[:, 3:5])
    assert model.item.weight.equal(item[:, 3:5])
    assert shared_dim(model) == 7
    assert shared_weights(model) == {model.user.weight, model.item.weight}
    assert list(model.state_dict()) == ["user.weight", "item.weight"]


def test_whole_tables_come_back_as_they_were(splits, monkeypatch, as_second_of_three):
    model = build_model("MF-BPR", splits[0], embedding_dim=7)
    user = model.user.weight.detach().clone()
    split_tables(model)
    own = user[:, 3:5]
    monkeypatch.setattr(
        column_tables,
        "whole_matrix",
        lambda part, dim: (
            torch.cat([user[:, :3], part.detach(), user[:, 5:]], dim=1)
            if part.equal(own)
            else torch.zeros(len(part), dim)
        ),
    )
    join_tables(model)
    assert type(model.user) is torch.nn.Embedding
    assert model.user.weight.equal(user)
    assert model.user.weight.requires_grad


@pytest.mark.parametrize("name", ["VBPR", "FREEDOM", "LayerGCN"])
def test_systems_that_read_their_embeddings_whole_are_refused(splits, name):
    train, val, _ = splits
    with pytest.raises(UserError) as error:
        Trainer(shard_embeddings=True).fit(build_model(name, train), train, val)
    assert str(error.value) == (
        f"{name} cannot share its embeddings: it reads them whole - leave "
        "shard_embeddings out, or choose MF-BPR or LightGCN"
    )


def test_more_processes_than_columns_are_refused(splits, as_second_of_three):
    model = build_model("MF-BPR", splits[0], embedding_dim=2)
    with pytest.raises(UserError) as error:
        split_tables(model)
    assert str(error.value) == (
        "3 processes cannot share embeddings of 2 columns - use fewer processes, or a "
        "larger embedding_dim"
    )


def test_tables_are_joined_where_they_are(monkeypatch):
    """A group of GPUs alone has no engine for what is on the CPU."""
    model, seen = MFBPR(3, 2, embedding_dim=4), []
    model.user = ColumnTable(model.user)
    monkeypatch.setattr(MFBPR, "cpu", lambda self: seen.append("cpu"))

    def joined(part, dim):
        seen.append(part.device.type)
        return torch.ones(3, dim)

    monkeypatch.setattr(column_tables, "whole_matrix", joined)
    join_tables(model.to("meta"))
    assert seen == ["meta", "cpu"]
