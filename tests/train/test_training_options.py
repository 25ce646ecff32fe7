from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from mmgraph.models.mf_bpr import MFBPR
from mmgraph.train import Trainer
from mmgraph.train.training_options import TrainingOptions


def test_they_are_options_of_the_trainer_and_stay_as_they_are():
    options = Trainer(seed=3, patience=5).options_for(MFBPR(2, 3))
    trainer = vars(Trainer(seed=3, patience=5))
    for field in fields(TrainingOptions):
        value = getattr(options, field.name)
        assert trainer[field.name] in (None, value)
    with pytest.raises(FrozenInstanceError):
        options.seed = 1


def test_more_epochs_or_patience_make_no_other_run():
    options = Trainer().options_for(MFBPR(2, 3))
    assert replace(options, patience=99).identity() == options.identity()
    for name, value in {"lr": 0.5, "seed": 1, "batch_size": 3, "eval_every": 2}.items():
        assert replace(options, **{name: value}).identity() != options.identity()
