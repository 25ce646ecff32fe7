from __future__ import annotations

import pytest
import torch

from mmgraph.data import from_interactions
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.schema import INTERACTS
from mmgraph.train import Trainer
from mmgraph.train.loop import TrainingRun

CPU = torch.device("cpu")


class Exploding(Recommender):
    """Its second term is NaN in the third batch of the second epoch."""

    def __init__(self, num_users, num_items):
        super().__init__(num_users, num_items)
        self.weight = torch.nn.Parameter(torch.zeros(num_users + num_items, 2))
        self.step = 0

    def encode(self, data):
        return self.weight.split([data["user"].num_nodes, data["item"].num_nodes])

    def on_epoch_start(self, data, epoch, generator):
        self.epoch, self.step = epoch, 0

    def loss(self, data, batch):
        self.step += 1
        nan = float("nan") if (self.epoch, self.step) == (2, 3) else 0.0
        return {"bpr": self.weight.sum() * 0, "reg": self.weight.sum() * 0 + nan}


def begin(trainer, train):
    model = Exploding.from_data(train)
    return TrainingRun(trainer.options_for(model), model, train, CPU)


def test_a_nan_is_named_by_epoch_batch_and_term(splits):
    train, val, _ = splits
    trainer = Trainer(epochs=3, batch_size=150, device="cpu")
    with pytest.raises(UserError, match="epoch 2, batch 3: loss term 'reg' is nan"):
        trainer.fit(Exploding.from_data(train), train, val)


def test_every_interaction_is_shown_once_per_epoch(splits):
    train, val, _ = splits
    seen = []

    class Recorder(Exploding):
        def loss(self, data, batch):
            seen.append(torch.stack([batch.user, batch.pos_item]))
            return {"bpr": self.weight.sum() * 0}

    Trainer(epochs=1, device="cpu").fit(Recorder.from_data(train), train, val)
    shown = torch.cat(seen, dim=1)
    edges = train["user", "interacts", "item"].edge_index
    assert shown.size(1) == edges.size(1)
    assert set(zip(*shown.tolist(), strict=True)) == set(
        zip(*edges.tolist(), strict=True)
    )


def test_no_negative_is_an_item_of_the_user(splits):
    train, _, _ = splits
    run = begin(Trainer(batch_size=100), train)
    run.generator.manual_seed(0)
    batches = list(run.batches())
    assert max(len(batch.user) for batch in batches) == 100
    edges = set(zip(*train[INTERACTS].edge_index.tolist(), strict=True))
    drawn = {(u, n) for u, _, n in (t for b in batches for t in zip(*b, strict=True))}
    assert not edges & {(int(u), int(n)) for u, n in drawn}


def test_the_learning_rate_decays_by_its_factor_in_fifty_epochs(splits):
    train, _, _ = splits
    trainer = Trainer(lr=0.1, lr_decay=0.5)
    run = begin(trainer, train)
    for epoch, expected in ((1, 0.1), (26, 0.1 * 0.5**0.5), (51, 0.05), (101, 0.025)):
        run.train_epoch(epoch)
        (group,) = run.optimizer.param_groups
        assert group["lr"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("given", [None, 0.0, 0.5])
def test_the_models_own_weight_decay_holds_unless_one_is_given(splits, given):
    train, val, _ = splits

    class Decaying(Exploding):
        """Gradients are all zero: without decay its parameters stay."""

        weight_decay = 0.1

        def loss(self, data, batch):
            return {"bpr": self.weight.sum() * 0}

    model = Decaying.from_data(train)
    with torch.no_grad():
        model.weight.fill_(1.0)
    trainer = Trainer(epochs=1, lr=0.01, weight_decay=given, device="cpu")
    trainer.fit(model, train, val)
    moved = not torch.equal(model.weight, torch.ones_like(model.weight))
    assert moved == (given != 0.0)


def test_a_user_with_every_item_is_called_by_its_id():
    train = from_interactions(["zoe", "ann", "ann"], ["x", "x", "y"])
    with pytest.raises(UserError, match="user 'ann' has interacted with all 2 "):
        begin(Trainer(device="cpu"), train)
