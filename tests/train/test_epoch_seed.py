from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.models import build_model
from mmgraph.train import Trainer
from mmgraph.train.epoch_seed import epoch_seeds
from mmgraph.train.loop import TrainingRun


def test_seeds_and_epochs_differ_in_the_half_that_a_cpu_takes():
    drawn = {
        each % 2**32
        for seed in (0, 1, 2, *range(999, 1009), 2**32 - 1)
        for epoch in range(301)
        for each in epoch_seeds(seed, epoch)
    }
    assert len(drawn) == 14 * 301 * 2


def test_a_generator_takes_all_of_them():
    draws = []
    for seed in (0, 2**32 - 1):
        generator = torch.Generator().manual_seed(epoch_seeds(seed, 2**20)[0])
        draws.append(torch.randperm(100, generator=generator))
    assert not torch.equal(*draws)


@pytest.mark.parametrize("name", ["MF-BPR", "LightGCN"])
def test_seeds_draw_other_batches_and_negatives(name, splits):
    """From the same initial parameters."""
    train = splits[0]
    model = build_model(name, train, embedding_dim=4)
    trained = {}
    for seed in (1, 2, 1):
        own = copy.deepcopy(model)
        Trainer(epochs=1, seed=seed, device="cpu").fit(own, train, None)
        again = trained.setdefault(seed, own)
        for value, other in zip(own.parameters(), again.parameters(), strict=True):
            assert torch.equal(value, other)
    for value, other in zip(*(m.parameters() for m in trained.values()), strict=True):
        assert not torch.equal(value, other)


def test_seeds_draw_other_dropout():
    masks = []
    for seed in (1, 2):
        torch.manual_seed(epoch_seeds(seed, 1)[1])
        masks.append(torch.nn.functional.dropout(torch.ones(64)))
    assert not torch.equal(*masks)


def test_trainer_and_model_draw_other_numbers(splits):
    model = build_model("MF-BPR", splits[0], embedding_dim=4)
    options = Trainer(seed=1, device="cpu").options_for(model)
    run = TrainingRun(options, model, splits[0], torch.device("cpu"))
    run._seed(1)
    assert not torch.equal(torch.rand(8), torch.rand(8, generator=run.generator))
