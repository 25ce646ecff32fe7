"""What every system must do, on planted data whose right answer is known."""

from __future__ import annotations

import copy
from fnmatch import fnmatch
from typing import NamedTuple

import pytest
import torch
from pretended_device import DEVICE, pretended_device
from safetensors.torch import load, save

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.functional import ranking_metrics
from mmgraph.models import (
    Batch,
    Plugin,
    Recommender,
    available_models,
    available_plugins,
    build_model,
    model_options,
    resolve_model,
)
from mmgraph.schema import INTERACTS, REV_INTERACTS, modalities
from mmgraph.train import Trainer, evaluate
from mmgraph.train.history import History
from mmgraph.train.loop import TrainingRun
from mmgraph.train.popularity import Popularity

QUICK = {"club_inner_steps": 3, "pretrain_epochs": 5}
#: The features here are narrow; plug-ins that train encoders need some to train.
WITH_PLUGIN = {"map_above": 0}
MULTIMODAL = [n for n in available_models() if resolve_model(n)[1].multimodal]
SYSTEMS = [
    (name, plugin, fidelity)
    for name in available_models()
    for plugin in [None, *(available_plugins() if name in MULTIMODAL else [])]
    if plugin != name
    for fidelity in resolve_model(name)[1].fidelities
]

HOSTS = [system for system in SYSTEMS if system[0] in MULTIMODAL]


def spelled(system) -> str:
    name, plugin, fidelity = system
    return f"{name}{'+' + plugin if plugin else ''}@{fidelity}"


def class_of(system) -> type[Recommender]:
    return resolve_model(system[0])[1]


#: What all systems are trained with, for the claims that want a trained one.
COMMON = {
    "epochs": 10,
    "patience": 15,
    "eval_every": 5,
    "lr": 1e-2,
    "batch_size": 1024,
}
#: Systems that want smaller and more steps: those without negatives, and MMGCN. With a
#: plug-in and three seeds, BM3 has 1.33 to 1.52 times popularity's recall after 15
#: epochs and 1.42 to 1.66 after 25.
SMALLER = {
    "BM3": {"epochs": 25, "lr": 5e-3, "batch_size": 128},
    "MMGCN": {"epochs": 15, "lr": 5e-3},
    "SLMRec": {"lr": 5e-3, "batch_size": 512},
}
#: Options of systems that learn a graphless score slowly: of the model, of the trainer.
#: The planted preferences lie in the features, so PAMD's maps take full steps here.
#: The unit Gaussian start of PAMD's public code drowns what is learned, unless tables
#: are narrow and the weights decay.
SLOW = {
    ("PAMD", "paper"): ({"map_lr_share": 1.0}, {"epochs": 50, "lr": 1e-2}),
    ("PAMD", "released"): (
        {"embedding_dim": 16},
        {"epochs": 30, "lr": 0.1, "weight_decay": 0.1},
    ),
}
#: SEA's distance, fitted, costs PAMD much of what its scores are made of (recall@20 on
#: test .253 with the default weight of 3e-3, .287 with this one, .307 with none).
WEAKER = {("PAMD", "SEA", "paper"): {"distance_weight": 1e-4}}
#: Options without which the two devices would draw different graphs.
STEADY = {"DualGNN": {"num_neighbors": 1}}

#: Systems whose tables stay at their random start and can learn little beyond
#: popularity, as published.
FROZEN = (("MMGCN", "released"),)


@pytest.fixture(scope="module", params=SYSTEMS, ids=spelled)
def system(request):
    """Tests run grouped by it, so that one trained system at a time is held."""
    return request.param


@pytest.fixture(scope="module")
def planted():
    return synthetic(seed=3, num_users=400, num_items=300)


@pytest.fixture(scope="module")
def splits(planted):
    return planted[:3]


@pytest.fixture(scope="module")
def bounds(planted):
    """Recall of the most popular items, and of the planted preferences themselves."""
    train, _, test, truth = planted
    floor = evaluate(Popularity.from_data(train), test)["recall@20"]
    return floor, recall_of(truth.preference, train, test, 20)


class Trained(NamedTuple):
    """What one training leaves for several claims to be checked on."""

    model: Recommender
    history: History
    start: dict[str, torch.Tensor]  # parameters before the first epoch
    moved: dict[str, torch.Tensor]  # and after it
    metrics: dict[str, float]  # on the test split


@pytest.fixture(scope="module")
def trained(splits, system):
    return fit(system, splits)


def fit(system, splits, more=None, **options):
    train, val, test = splits
    model_side, trainer_side = SLOW.get((system[0], system[2]), ({}, {}))
    model_side = model_side | WEAKER.get(system, {})
    model = build(system, train, **(model_side | (more or {})))
    seen = [parameters(model)]

    def after_the_first(row):
        if row["epoch"] == 1:
            seen.append(parameters(model))

    options = COMMON | SMALLER.get(system[0], {}) | trainer_side | options
    history = Trainer(**options, device="cpu").fit(
        model, train, val, on_epoch=after_the_first
    )
    return Trained(model, history, *seen, evaluate(model, test))


def parameters(model):
    return {key: p.detach().clone() for key, p in model.named_parameters()}


def build(system, data, seed=0, **options):
    name, plugin, fidelity = system
    torch.manual_seed(seed)
    known = model_options(name, plugin)
    wanted = QUICK | (WITH_PLUGIN if plugin else {})
    quick = {key: value for key, value in wanted.items() if key in known}
    return build_model(
        name, data, plugin=plugin, fidelity=fidelity, **(quick | options)
    )


def some_batch(data, size=512):
    user, item = data[INTERACTS].edge_index[:, :size]
    return Batch(user, item, torch.randint(data["item"].num_nodes, (user.numel(),)))


def first_epoch(model, data):
    data = model.add_graphs(data)
    model.train()
    generator = torch.Generator(data[INTERACTS].edge_index.device).manual_seed(0)
    model.start_epoch(data, 1, generator)
    return data


def test_shapes_and_finite_named_losses(splits, system):
    train = splits[0]
    model = build(system, train)
    data = first_epoch(model, train)
    terms = model.training_loss(data, some_batch(train))
    assert class_of(system).main_term in terms
    for term, value in terms.items():
        assert value.shape == (), term
        assert bool(value.isfinite()), term
    z_user, z_item = model.encode(data)
    assert z_user.size(0) == train["user"].num_nodes
    assert z_item.size(0) == train["item"].num_nodes
    assert model.score(z_user[:7], z_item).shape == (7, z_item.size(0))


def test_every_trainable_tensor_is_registered_and_moves_in_one_epoch(
    splits, trained, system
):
    if system[0] == "SEA":
        # An estimator that fits at once, and a model that does not run away from it: a
        # bound below zero is cut off and has no gradient.
        fast = {"club_lr": 1e-2, "club_inner_steps": 20}
        trained = fit(system, splits, fast, epochs=1, lr=None)
    registered = {id(p) for p in trained.model.parameters()}
    for module in trained.model.modules():
        for key, value in vars(module).items():
            hidden = isinstance(value, torch.Tensor) and value.requires_grad
            assert not hidden or id(value) in registered, key
    for key, parameter in trained.model.named_parameters():
        moved = not torch.equal(trained.start[key], trained.moved[key])
        frozen = not parameter.requires_grad
        inert = any(fnmatch(key, p) for p in class_of(system).inert_parameters)
        assert moved or frozen or inert, key


def test_the_sum_of_the_losses_falls_within_six_epochs(trained):
    totals = [
        sum(value for key, value in row.items() if key.startswith("loss/"))
        for row in trained.history.rows[:6]
    ]
    assert totals[-1] < 0.95 * totals[0]


def test_planted_preferences_are_recovered(bounds, trained, system):
    floor, ceiling = bounds
    learned = trained.metrics["recall@20"]
    assert ceiling > 2 * floor  # the plant is worth finding
    frozen = (system[0], system[2]) in FROZEN
    assert learned > (1.0 if frozen else 1.1) * floor
    if not frozen and system[0] in MULTIMODAL:
        assert learned > 1.4 * floor


def recall_of(scores, train, test, k):
    scores = scores.clone()
    scores[tuple(train[INTERACTS].edge_index)] = float("-inf")
    user, item = test[INTERACTS].edge_label_index
    wanted = torch.zeros_like(scores, dtype=torch.bool)
    wanted[user, item] = True
    users = user.unique()
    hits = wanted[users].gather(1, scores[users].topk(k, dim=1).indices)
    return ranking_metrics(hits, wanted[users].sum(1), [k])[f"recall@{k}"]


def test_saved_and_loaded_it_scores_alike(splits, trained, system):
    train, _, test = splits
    state = trained.model.state_dict()
    content = save({key: value.contiguous() for key, value in state.items()})
    model_side, _ = SLOW.get((system[0], system[2]), ({}, {}))
    other = build(system, train, seed=9, **model_side)
    other.load_state_dict(load(content))
    assert evaluate(other, test) == trained.metrics


def test_no_held_out_edge_can_be_reached(splits, trained):
    (train, _, test), model = splits, trained.model
    # Every message-passing edge of the test object is a training edge ...
    assert torch.equal(test[INTERACTS].edge_index, train[INTERACTS].edge_index)
    assert torch.equal(
        test[REV_INTERACTS].edge_index.flip(0), train[INTERACTS].edge_index
    )
    # ... and scores do not depend on which positives are being asked for.
    z = model.encode(model.add_graphs(test))
    other = copy.copy(test)
    other[INTERACTS].edge_label_index = test[INTERACTS].edge_label_index[:, :1]
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.encode(model.add_graphs(other)), z, strict=True)
    )
    assert evaluate(model, test) == trained.metrics


@pytest.mark.gpu
def test_cpu_and_gpu_agree(splits, system, gpu):
    train, _val, _ = splits
    runs = {}
    for where in ("cpu", gpu):
        model = build(system, train, **STEADY.get(system[0], {})).to(where)
        data = first_epoch(model, train.clone().to(where))
        torch.manual_seed(1)
        batch = Batch(*(part.to(where) for part in some_batch(train)))
        model.train(not class_of(system).random_loss)
        runs[where] = model.training_loss(data, batch)
    for term in runs["cpu"]:
        torch.testing.assert_close(
            runs[gpu][term].cpu(), runs["cpu"][term], rtol=1e-3, atol=1e-5
        )


#: How often a step has to wait for the device. MMSSL's losses take one row per distinct
#: user of the batch, and the items of these users: how many there are is in the batch.
WAITS = {"MMSSL": 2}


def test_it_trains_and_ranks_on_a_device_that_no_step_waits_for(splits, system):
    train, val, _ = splits
    with pretended_device() as device:
        model = build(system, train).to(DEVICE)
        data = model.add_graphs(train.clone().to(DEVICE))
        options = Trainer(batch_size=256, device="cpu").options_for(model)
        run = TrainingRun(options, model, data, DEVICE)
        model.train()
        model.start_epoch(data, 1, run.generator)
        batches = run.batches()
        for _ in range(3):  # by the third, what is made once an epoch is there
            device.waits.clear()
            device.doubles.clear()
            run.step(next(batches))
        waits, doubles = dict(device.waits), dict(device.doubles)
        metrics = evaluate(model, val)
        model.cpu()
    assert sum(waits.values()) == WAITS.get(system[0], 0), waits
    assert not doubles  # of which a GPU makes few a second
    assert metrics == pytest.approx(evaluate(model, val), abs=1e-3)


@pytest.fixture(scope="module", params=[1, 3])
def other_modalities(request):
    """One modality, or three, under names that nothing knows."""
    widths = dict(list({"audio": 24, "clip": 33, "text": 40}.items())[: request.param])
    return synthetic(seed=1, num_users=120, num_items=150, modalities=widths)[:3]


@pytest.mark.parametrize(
    "host", [s for s in SYSTEMS if s[0] in MULTIMODAL], ids=spelled
)
def test_one_and_three_modalities(host, other_modalities):
    train, val, test = other_modalities
    names = modalities(train)
    if len(names) < class_of(host).min_modalities:
        with pytest.raises(UserError, match="needs 2 modalities or more"):
            build(host, train)
        return
    model = build(host, train)
    Trainer(epochs=2, eval_every=2, device="cpu").fit(model, train, val)
    assert 0 <= evaluate(model, test)["recall@20"] <= 1
    assert list(model.encode_modalities(model.add_graphs(train))) == names


class Stretched(Plugin):
    """Stretches and turns every embedding; its own losses are none."""

    def forward(self, z):
        return {m: x * torch.linspace(-2.0, 3.0, x.size(1)) for m, x in z.items()}


@pytest.mark.parametrize(
    "host", [s for s in SYSTEMS if s[0] in MULTIMODAL and s[1] is None], ids=spelled
)
def test_a_plugin_that_changes_embeddings_is_seen_by_loss_and_scores(splits, host):
    """A host that read its encoders past the plug-in would pass all other tests."""
    train, seen = splits[0], []
    for plugged in (False, True):
        model = build(host, train, **(WITH_PLUGIN if host[0] == "MMGCN" else {}))
        if plugged:
            model.attach(Stretched)
        torch.manual_seed(1)
        with torch.no_grad():  # away from the small start, where scores are all alike
            for p in model.parameters():
                p.normal_(std=0.3)
        data = first_epoch(model, train)
        terms = model.training_loss(data, some_batch(train))
        model.eval()
        with torch.no_grad():
            z_user, z_item = model.encode(data)
            seen.append((terms, model.score(z_user[:20], z_item)))
    (plain, scores), (shifted, shifted_scores) = seen
    assert plain.keys() == shifted.keys()
    moved = {
        name
        for name, value in plain.items()
        if (value - shifted[name]).abs() > 1e-3 * value.abs()
    }
    assert moved
    if not class_of(host).scores_read_encoders:
        assert torch.equal(scores, shifted_scores)
        assert all("_" in name for name in moved)  # the terms of single modalities
    else:
        assert not torch.allclose(scores, shifted_scores, rtol=1e-3)


@pytest.mark.parametrize("name", available_models())
def test_unknown_options_name_the_nearest(splits, name):
    with pytest.raises(UserError, match="did you mean 'embedding_dim'"):
        build_model(name, splits[0], embeding_dim=8)


@pytest.mark.parametrize("name", available_models())
def test_repr_is_short_and_names_the_class(splits, name):
    text = repr(build_model(name, splits[0]))
    assert text.startswith(resolve_model(name)[1].__name__ + "(400, 300, ")
    assert "\n" not in text


@pytest.mark.parametrize("name", MULTIMODAL)
def test_features_are_required_where_they_are_used(splits, name):
    bare = copy.copy(splits[0])
    for key in list(bare["item"].keys()):
        if key.startswith(("x_", "mask_")):
            del bare["item"][key]
    with pytest.raises(UserError, match="needs item features and the data have none"):
        build_model(name, bare)
