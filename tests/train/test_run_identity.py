from __future__ import annotations

import json

import pytest
import torch

import mmgraph
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.train import Trainer
from mmgraph.train.run_identity import run_identity, surroundings


def identity(train, name="VBPR", trainer=None, data="0", **options):
    model = build_model(name, train, **options)
    return run_identity(model, (trainer or Trainer()).options_for(model), data)


def test_each_option_of_model_plugin_and_trainer_is_in_it(splits):
    train = splits[0]
    first = identity(train, plugin="CLEAR")
    assert first == identity(train, plugin="CLEAR", rank=8), "a default is spelt out"
    others = [
        identity(train, plugin="SEA"),
        identity(train),
        identity(train, plugin="CLEAR", rank=4),
        identity(train, plugin="CLEAR", embedding_dim=8),
        identity(train, plugin="CLEAR", reg_weight=0.5),
        identity(train, plugin="CLEAR", data="1"),
        identity(train, plugin="CLEAR", trainer=Trainer(seed=1)),
        identity(train, "FREEDOM", plugin="CLEAR"),
        identity(train, plugin="CLEAR", feature_scale="unit"),
        identity(train, plugin="CLEAR", train_features=True),
    ]
    assert all(other != first for other in others)


def test_a_run_does_not_go_on_with_features_on_another_scale(splits, tmp_path):
    train, valid, _ = splits

    def fit(scale, epochs, **options):
        model = build_model("VBPR", train, feature_scale=scale, embedding_dim=4)
        trainer = Trainer(epochs=epochs, device="cpu")
        trainer.fit(model, train, valid, checkpoint_dir=tmp_path, **options)

    fit("raw", 1)
    with pytest.raises(UserError, match="feature_scale"):
        fit("standardized", 2, resume=True)
    fit("raw", 2, resume=True)


def test_it_survives_json_as_it_is(splits):
    options = {"plugin": "CLEAR", "trainer": Trainer(ks=(5, 20))}
    whole = identity(splits[0], **options)
    assert json.loads(json.dumps(whole)) == whole


def test_the_surroundings_are_versions_and_the_kind_of_device():
    assert surroundings(torch.device("cuda:3")) == {
        "mmgraph": mmgraph.__version__,
        "torch": torch.__version__,
        "device": "cuda",
    }
