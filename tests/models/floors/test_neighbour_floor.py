"""What every floor promises: it is a system like the others, without training."""

from __future__ import annotations

import pytest
import torch

from mmgraph.bench.config import run_config
from mmgraph.bench.run_directory import HISTORY, load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run, recommend_run, train_run
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines
from mmgraph.models import available_floors, available_models, build_model
from mmgraph.models.batch import Batch
from mmgraph.models.registry import kind_of
from mmgraph.train import Trainer, evaluate

FLOORS = available_floors()


@pytest.fixture(scope="module")
def splits():
    return load_dataset("synthetic")


def test_floors_are_systems_of_another_kind():
    assert not set(FLOORS) & set(available_models())
    assert {kind_of(name) for name in FLOORS} == {"floor"}
    assert {kind_of(name) for name in available_models()} == {"trained"}


@pytest.mark.parametrize("name", FLOORS)
def test_a_run_of_the_trainer_is_one_evaluation(name, splits):
    train, valid, _ = splits
    model = build_model(name, train)
    assert not list(model.parameters())
    rows = []
    history = Trainer(device="cpu").fit(model, train, valid, on_epoch=rows.append)
    assert (history.epochs, history.best_epoch, len(history.rows)) == (0, 0, 1)
    assert rows == history.rows
    assert rows[0]["epoch"] == 0
    assert not [key for key in rows[0] if key.startswith("loss/")]
    measured = evaluate(model, valid)
    assert {k: v for k, v in history.best_valid.items()} == measured


@pytest.mark.parametrize("name", FLOORS)
def test_it_is_saved_loaded_resumed_and_recommends(name, tmp_path):
    run = run_config(parse_spec(name), {"k": 7})
    source, folder = DataSource("synthetic"), tmp_path / "run"
    info = train_run(run, source, folder, device="cpu")
    assert (info["epochs"], info["seconds_per_epoch"]) == (0, 0.0)
    assert evaluate_run(folder, device="cpu") == pytest.approx(info["metrics"]["test"])
    assert train_run(run, source, folder, device="cpu", resume=True) == info
    assert [row["epoch"] for row in read_json_lines(folder / HISTORY)] == [0]
    assert load_run(folder).model.k == 7
    table = recommend_run(folder, tmp_path / "best.csv", k=3)
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"]


@pytest.mark.parametrize("name", FLOORS)
def test_scores_of_some_items_are_columns_of_those_of_all(name, splits):
    model = build_model(name, splits[0])
    z_user, z_item = model.encode(splits[0])
    some = torch.tensor([4, 0, 9])
    whole = model.score(z_user[:6], z_item)
    assert torch.equal(model.score(z_user[:6], z_item[some]), whole[:, some])


@pytest.mark.parametrize("name", FLOORS)
def test_without_data_it_says_so(name, splits):
    model = build_model(name, splits[0])
    one = torch.zeros(1, 1, dtype=torch.long)
    with pytest.raises(
        UserError, match=r"has seen no data - call encode\(data\) first"
    ):
        model.score(one, one)
    batch = Batch(one.flatten(), one.flatten(), one.flatten())
    with pytest.raises(UserError, match="has nothing to train - evaluate it as it is"):
        model.loss(splits[0], batch)


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("plugin", ["clear", "sea"])
def test_no_plugin_attaches(name, plugin, splits):
    with pytest.raises(UserError, match="has no modality encoders"):
        build_model(name, splits[0], plugin=plugin)
