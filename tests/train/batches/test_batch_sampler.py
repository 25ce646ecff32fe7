from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.train import Trainer


def test_training_on_all_sampled_neighbours_is_that_on_the_whole_graph(splits):
    train, val, _ = splits
    rows = []
    for sampled_neighbors in (None, (-1, -1, -1), (10**6,) * 3):
        torch.manual_seed(0)
        model = build_model("LightGCN", train, embedding_dim=8)
        trainer = Trainer(
            epochs=3, batch_size=64, sampled_neighbors=sampled_neighbors, device="cpu"
        )
        rows.append(trainer.fit(model, train, val).rows)
    for other in rows[1:]:
        for one, two in zip(rows[0], other, strict=True):
            for key in ("loss/bpr", "loss/reg"):
                assert one[key] == pytest.approx(two[key], abs=1e-6)


def test_training_on_few_sampled_neighbours_learns(splits):
    train, val, _ = splits
    torch.manual_seed(0)
    model = build_model("LightGCN", train, embedding_dim=8, num_layers=2)
    options = {"batch_size": 64, "lr": 0.01, "sampled_neighbors": (3, 2)}
    trainer = Trainer(epochs=8, device="cpu", **options)
    rows = trainer.fit(model, train, val).rows
    assert rows[-1]["loss/bpr"] < rows[0]["loss/bpr"] - 0.05


@pytest.mark.parametrize(
    ("name", "sampled_neighbors", "message"),
    [
        ("FREEDOM", (5, 5), "FREEDOM trains on the whole graph, not .* LightGCN$"),
        ("LightGCN", (5,), "has 1 numbers, LightGCN 3 layers - give one per"),
    ],
)
def test_systems_without_sampling_and_other_numbers_of_hops_are_refused(
    splits, name, sampled_neighbors, message
):
    train, val, _ = splits
    with pytest.raises(UserError, match=message):
        Trainer(sampled_neighbors=sampled_neighbors).fit(
            build_model(name, train), train, val
        )
