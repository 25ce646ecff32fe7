"""Training in several processes gives what one process gives."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
import torch
from every_system import (
    OPTIONS,
    check,
    same_history,
    train_and_keep,
)
from safetensors.torch import load_file

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import build_run
from mmgraph.bench.spec import parse_spec
from mmgraph.distributed.world import World
from mmgraph.models import available_models, available_plugins, resolve_model
from mmgraph.models.batch import Batch
from mmgraph.train.batches.batch_share import batch_share, weighted_terms
from mmgraph.train.loop import TrainingRun

#: MMGCN takes these narrow features as they are, so SEA could train nothing there.
CANNOT = {("MMGCN", "SEA")}
EVERY = [
    f"{name}{'+' + plugin if plugin else ''}@{fidelity}"
    for name in available_models()
    for plugin in [
        None,
        *(available_plugins() if resolve_model(name)[1].multimodal else []),
    ]
    if plugin != name and (name, plugin) not in CANNOT
    for fidelity in resolve_model(name)[1].fidelities
] + [
    "SEA:candidates=batch",
    "MGCN+SEA:candidates=batch",
    "SLMRec:ssl_task=FD+FM",
    "LightGCN:sampled_neighbors=[3,3,3]",
    "LightGCN:sampled_neighbors=[3,3,3],optimizer=sparse-adam",
    "MF-BPR:optimizer=sparse-adam",
]
#: One for each way in which a loss reduces, and each kind of state beside Adam's.
SOME = [
    *("MF-BPR@released", "LightGCN@paper", "LayerGCN@paper", "VBPR@released"),
    *("LATTICE@released", "SLMRec@paper", "PAMD@released", "BM3@paper"),
    *("MMSSL@paper", "LGMRec@released"),
    *("CLEAR@paper", "SEA:candidates=batch", "FREEDOM+SEA@paper"),
    "LightGCN:sampled_neighbors=[3,3,3],optimizer=sparse-adam",
]


def test_two_processes_train_as_one(launch, tmp_path):
    check(launch, tmp_path, 2, SOME, epochs=2, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("spec", EVERY)
def test_every_system_trains_as_one_process(launch, tmp_path, spec, count):
    """Over a hundred steps, in double precision.

    In single precision systems with a kink (leaky ReLU, a clamped bound) enlarge the
    rounding of a sum in another order beyond all bounds, now and then.
    """
    check(launch, tmp_path, count, [spec], epochs=25, rel=1e-6, dtype=torch.float64)


def gradients_and_terms(run, batch, seed):
    """Of a copy, as some losses fit an estimator or train a critic on the way."""
    run = copy.deepcopy(run)
    run.generator.manual_seed(seed)
    torch.manual_seed(seed)
    graph = run._sampler and run._sampler.sample(batch.whole, run.generator)
    terms = run.model.training_loss(run.train, batch, graph)
    terms = weighted_terms(terms, batch, run.model.summed_terms())
    torch.stack(list(terms.values())).sum().backward()
    gradients = {
        name: parameter.grad.to_dense()
        for name, parameter in run.model.named_parameters()
        if parameter.grad is not None
    }
    return gradients, terms, torch.rand(1)


@pytest.mark.parametrize("spec", EVERY)
def test_losses_and_gradients_of_shares_add_up(spec, splits):
    """No process is needed to see it: each share's loss, one after the other."""
    untrained = build_run(
        run_config(parse_spec(spec), OPTIONS), splits, seed=5, device="cpu"
    )
    model, train = untrained.model, untrained.splits[0]
    train = model.add_graphs(train)
    options = untrained.trainer.options_for(model)
    run = TrainingRun(options, model, train, torch.device("cpu"))
    model.train()
    model.start_epoch(train, 1, run.generator)
    run.generator.manual_seed(1)
    batch = next(run.batches())
    gradients, terms, drawn = gradients_and_terms(run, batch, seed=3)
    shares = [
        gradients_and_terms(run, batch_share(batch, World(rank, 3)), seed=3)
        for rank in range(3)
    ]
    for name, term in terms.items():
        total = sum(of_share[1][name] for of_share in shares)
        torch.testing.assert_close(total, term, rtol=1e-5, atol=1e-6, msg=name)
    # Some are zero but for rounding, as of a bias that positives and negatives share.
    rounding = 1e-6 * max(
        float(gradient.abs().max()) for gradient in gradients.values()
    )
    for name, gradient in gradients.items():
        total = sum(of_share[0][name] for of_share in shares)
        torch.testing.assert_close(total, gradient, rtol=1e-4, atol=rounding, msg=name)
    # The random numbers are in step: none is drawn for the rows of a share.
    assert all(of_share[2].equal(drawn) for of_share in shares)


def test_shares_add_up_to_the_batch():
    batch = Batch(*torch.arange(21).view(3, 7))
    value = torch.rand(7)
    shares = [batch_share(batch, World(rank, 3)) for rank in range(3)]
    assert torch.cat([share.neg_item for share in shares]).equal(batch.neg_item)
    terms = [
        weighted_terms(
            {"mean": share.own(value)[0].mean(), "sum": share.own(value)[0].sum()},
            share,
            ["sum"],
        )
        for share in shares
    ]
    for name, expected in (("mean", value.mean()), ("sum", value.sum())):
        torch.testing.assert_close(sum(term[name] for term in terms), expected)
    assert all(share.whole is batch for share in shares)
    assert torch.cat([share.places() for share in shares]).tolist() == list(range(7))


def test_a_batch_of_fewer_triples_than_processes_is_everybodys():
    batch = Batch(torch.arange(2), torch.arange(2))
    shares = [batch_share(batch, World(rank, 3)) for rank in range(3)]
    one = torch.ones(())
    terms = [weighted_terms({"a": one, "b": one}, s, ["b"]) for s in shares]
    assert all(share.user.equal(batch.user) for share in shares)
    for name in "ab":
        torch.testing.assert_close(sum(term[name] for term in terms), one)


def test_one_process_has_the_batch_itself():
    batch = Batch(torch.arange(2), torch.arange(2))
    assert batch_share(batch, World(0, 1)) is batch.whole is batch
    terms = {"bpr": torch.ones(())}
    assert weighted_terms(terms, batch, ["bpr"]) is terms


def test_a_run_goes_on_in_another_number_of_processes(launch, tmp_path):
    """Bit-equal in the same number; Adam, the estimator and the best epoch go on."""
    spec = "FREEDOM+SEA"

    def train(count, name, epochs):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        outputs = launch(count, train_and_keep, str(folder), spec, epochs).outputs()
        assert [code for code, *_ in outputs] == [0] * count, outputs
        first, *others = (load_file(folder / f"model-{rank}") for rank in range(count))
        rows, *others_rows = (
            json.loads((folder / f"rows-{rank}").read_text()) for rank in range(count)
        )
        for other, other_rows in zip(others, others_rows, strict=True):
            assert all(other[key].equal(value) for key, value in first.items())
            assert other_rows == rows
        return first, rows

    train(2, "two", 1)
    shutil.copytree(tmp_path / "two", tmp_path / "three")
    (whole, rows), (resumed, resumed_rows) = train(2, "whole", 2), train(2, "two", 2)
    assert all(resumed[key].equal(value) for key, value in whole.items())
    assert resumed_rows == rows
    same_history(spec, rows, train(3, "three", 2)[1])
