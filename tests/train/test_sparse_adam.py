from __future__ import annotations

import sys

import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.distributed.world import World
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.schema import INTERACTS
from mmgraph.train import Trainer
from mmgraph.train.loop import TrainingRun
from mmgraph.train.sparse_adam import row_wise_optimizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits():
    return synthetic(num_users=120, num_items=80)[:3]


def begin(name, train, **options):
    torch.manual_seed(0)
    name, _, fidelity = name.partition("@")
    model = build_model(name, train, embedding_dim=4, fidelity=fidelity or "paper")
    trainer = Trainer(batch_size=16, device="cpu", **options)
    count = train[INTERACTS].edge_index.size(1)
    return TrainingRun(trainer.options_for(model, count), model, train, CPU)


def lazy_adam(table, gradient, state, step, lr, betas=(0.9, 0.999), eps=1e-8):
    """One step in Python: a row without a gradient keeps everything."""
    for row in gradient.abs().sum(dim=1).nonzero().flatten().tolist():
        g, (m, v) = gradient[row], state[row]
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        state[row] = (m, v)
        # As the authors of Adam have it in the note to their algorithm.
        rate = lr * (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
        table[row] -= rate * m / (v.sqrt() + eps)


@pytest.mark.parametrize("name", ["MF-BPR", "VBPR", "VBPR@released"])
def test_steps_equal_a_loop_and_rows_outside_the_batch_stay(splits, name):
    train = splits[0]
    run = begin(name, train, optimizer="sparse-adam", lr=0.05)
    tables = run.model.row_tables(sampled=False)
    copies = [table.weight.detach().clone() for table in tables]
    states = [[(torch.zeros(c.size(1)),) * 2 for _ in c] for c in copies]
    run.generator.manual_seed(0)
    for step, batch in zip(range(1, 5), run.batches(), strict=False):
        loss = torch.stack(list(run.model.training_loss(train, batch).values())).sum()
        weights = [table.weight for table in tables]
        gradients = torch.autograd.grad(loss, weights)
        assert all(gradient.is_sparse for gradient in gradients)
        for copy, gradient, state in zip(copies, gradients, states, strict=True):
            lazy_adam(copy, gradient.to_dense(), state, step, 0.05)
        run.step(batch)
        for copy, table in zip(copies, tables, strict=True):
            torch.testing.assert_close(table.weight.detach(), copy, rtol=0, atol=2e-6)
    start = begin(name, train).model.user.weight
    untouched = (run.model.user.weight == start).all(dim=1)
    assert 0 < untouched.sum() < len(start)


def test_what_is_no_table_has_plain_adam(splits):
    """The first step, of 1e-3, is that of Adam but for the place of its epsilon."""
    train = splits[0]
    runs = [begin("VBPR", train, optimizer=o) for o in ("sparse-adam", "adam")]
    for run in runs:
        run.generator.manual_seed(0)
        run.step(next(iter(run.batches())))
    one, other = (dict(run.model.named_parameters()) for run in runs)
    tables = {"user.weight", "item.weight", "item_bias.weight"}
    for name in one:
        atol = 5e-5 if name in tables else 0
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=atol)


def test_an_interrupted_run_goes_on_exactly(splits, tmp_path):
    train, val, _ = splits
    options = {
        "optimizer": "sparse-adam",
        "sampled_neighbors": (3, 2, 1),
        "batch_size": 64,
        "device": "cpu",
        "checkpoint_seconds": 0.0,
    }

    def fit(epochs, **more):
        torch.manual_seed(0)
        model = build_model("LightGCN", train, embedding_dim=4)
        trainer = Trainer(epochs=epochs, **options)
        history = trainer.fit(model, train, val, **more)
        return model, history

    whole, history = fit(4)
    fit(2, checkpoint_dir=tmp_path)
    resumed, after = fit(4, checkpoint_dir=tmp_path, resume=True)
    assert torch.equal(whole.user.weight, resumed.user.weight)
    losses = [[row["loss/bpr"] for row in h.rows] for h in (history, after)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "LightGCN",
            {},
            r"LightGCN has no embedding table .* or sampled_neighbors, too",
        ),
        ("FREEDOM", {}, r"FREEDOM has no embedding table .* - use optimizer=adam$"),
        ("MF-BPR", {"weight_decay": 0.1}, r"no weight decay \(got 0.1\)"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(splits, name, options, message):
    with pytest.raises(UserError, match=message):
        begin(name, splits[0], optimizer="sparse-adam", **options)


@pytest.mark.parametrize("name", ["MF-BPR", "LightGCN"])
def test_another_training_with_adam_has_dense_gradients_again(splits, name):
    train, val, _ = splits
    model = build_model(name, train, embedding_dim=4)
    sparse = []
    model.user.weight.register_post_accumulate_grad_hook(
        lambda weight: sparse.append(weight.grad.is_sparse)
    )
    options = {"epochs": 1, "device": "cpu"}
    layers = model.sampled_layers()
    sampled = None if layers is None else (2,) * layers
    rows = Trainer(optimizer="sparse-adam", sampled_neighbors=sampled, **options)
    rows.fit(model, train, val)
    assert set(sparse) == {True}
    sparse.clear()
    Trainer(**options).fit(model, train, val)
    assert not model.user.sparse
    assert set(sparse) == {False}


def test_sparse_gradients_of_several_gpus_are_refused(monkeypatch):
    def build():
        options = Trainer(optimizer="sparse-adam").options_for(MFBPR(2, 3))
        return row_wise_optimizer(MFBPR(2, 3), options)

    module = sys.modules["mmgraph.train.sparse_adam"]
    monkeypatch.setattr(module, "device_of", lambda model: torch.device("cuda:1"))
    assert build() is not None
    monkeypatch.setattr(module, "world", lambda: World(0, 2))
    with pytest.raises(UserError) as error:
        build()
    assert str(error.value) == (
        "sparse-adam does not train in several processes on GPUs - use one process, "
        "shard_embeddings=true, or optimizer=adam"
    )
