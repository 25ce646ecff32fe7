from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import (
    available_models,
    build_model,
    resolve_model,
    resolve_plugin,
)
from mmgraph.models.vbpr import VBPR
from mmgraph.options import declared_options, fits
from mmgraph.train import evaluate

INTERACTS = ("user", "interacts", "item")
SIMILAR = ("item", "similar", "item")
WIDTHS = {"visual": 6, "textual": 4}
#: Options that make a system quick.
SMALL = {
    "SEA": {"club_inner_steps": 2},
    "CLEAR": {"rank": 2},
    "MMGCN": {"map_above": 0},
}


def small(name, data):
    rank = {"rank": 2} if name == "CLEAR" else {}
    return build_model(name, data, embedding_dim=5, k=3, **rank)


# What every model says of itself --------------------------------------------------


@pytest.mark.parametrize("name", available_models())
def test_main_and_auxiliary_parameters_are_all_and_share_none(catalogue, name):
    model = build_model(name, catalogue(WIDTHS))
    main = {id(p) for p in model.main_parameters()}
    own = {id(p) for p in model.all_auxiliary_parameters()}
    moved = {
        id(p)
        for optimizer in model.all_auxiliary_optimizers().values()
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert not main & own
    assert main | own == {id(p) for p in model.parameters()}
    assert moved <= own  # PAMD's decoders move in its pretraining alone
    assert moved == own or name == "PAMD"


def test_frozen_parameters_stay_out_of_the_main_optimiser(catalogue):
    model = build_model("MF-BPR", catalogue())
    model.user.weight.requires_grad_(False)
    assert [id(p) for p in model.main_parameters()] == [id(model.item.weight)]


def test_without_encoders_the_modalities_are_refused(catalogue):
    data = catalogue(WIDTHS)
    model = build_model("LightGCN", data)
    assert not model.has_encoders()
    with pytest.raises(UserError, match="LightGCN has no modality encoders"):
        model._encode_modalities(data)


@pytest.mark.parametrize(
    "name",
    [n for n in available_models() if len(resolve_model(n)[1].fidelities) > 1],
)
def test_an_unknown_fidelity_is_refused_by_the_constructor(catalogue, name):
    """A model works without the registry, so it checks its own options."""
    model_class = resolve_model(name)[1]
    with pytest.raises(ValueError, match=r"fidelity.*'relaesed'"):
        model_class.from_data(catalogue(WIDTHS), fidelity="relaesed")


# Hooks and plug-ins ---------------------------------------------------------------


class Careless(VBPR):
    """Writes every hook, and calls ``super()`` in none."""

    def on_epoch_start(self, data, epoch, generator):
        self.began = epoch

    def epoch_measures(self, epoch):
        return {"own": 1.0}

    def evaluation_measures(self, data):
        return {"later": 2.0}

    def auxiliary_parameters(self):
        return [self.item.weight]

    def auxiliary_optimizers(self):
        return {"own": torch.optim.SGD([self.item.weight])}


def careless(data, plugin, **options):
    model = Careless.from_data(data, embedding_dim=6)
    return model.attach(resolve_plugin(plugin)[1], **options)


def test_hooks_without_super_lose_no_plugin(catalogue):
    data = catalogue(WIDTHS)
    model = careless(data, "clear", rank=2)
    model.start_epoch(data, 1, torch.Generator())
    assert model.began == 1
    assert model.plugin.projection.refreshed_at == 1
    measures = model.all_epoch_measures(1)
    assert measures["own"] == 1.0
    assert measures["visual/rank"] == 2

    model = careless(data, "sea")
    measures = model.all_evaluation_measures(data)
    assert measures["later"] == 2.0
    assert "visual/bound_refitted" in measures
    estimator = {id(p) for p in model.plugin.separate.estimator_parameters()}
    assert estimator
    own = {id(p) for p in model.all_auxiliary_parameters()}
    assert own == estimator | {id(model.item.weight)}
    assert list(model.all_auxiliary_optimizers()) == ["own", "estimator"]
    assert not own & {id(p) for p in model.main_parameters()}


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("encode_modalities", "_encode_modalities"),
        ("start_epoch", "on_epoch_start"),
        ("training_loss", "loss"),
        ("all_epoch_measures", "epoch_measures"),
        ("all_evaluation_measures", "evaluation_measures"),
        ("all_auxiliary_parameters", "auxiliary_parameters"),
        ("all_auxiliary_optimizers", "auxiliary_optimizers"),
    ],
)
def test_what_calls_the_plugin_cannot_be_overridden(name, hook):
    with pytest.raises(TypeError, match=rf"Mine may not override {name}: write {hook}"):
        type("Mine", (VBPR,), {name: lambda self: None})


def test_a_mixin_cannot_take_the_place_of_what_calls_the_plugin():
    class Mixin:
        def start_epoch(self, data, epoch, generator):
            pass

    with pytest.raises(TypeError, match="Mine may not override start_epoch"):
        type("Mine", (Mixin, VBPR), {})


def test_a_ranking_that_passes_the_plugin_by_is_refused(catalogue, batch):
    """The loss reads the embeddings as they should be, the scores do not."""

    class HalfBypass(VBPR):
        def encode(self, data):
            plugin, self.plugin = self.plugin, None
            z = self.encode_users(), self.encode_items(data)
            self.plugin = plugin
            return z

    data = catalogue(WIDTHS)
    new_user = data["user"].num_nodes - 1  # without a training edge
    data["user", "interacts", "item"].edge_label_index = torch.tensor([[new_user], [0]])
    model = HalfBypass.from_data(data, embedding_dim=6)
    model.attach(resolve_plugin("clear")[1], rank=2)
    model.training_loss(data, batch)
    with pytest.raises(TypeError, match="HalfBypass does not read encode_modalities"):
        evaluate(model, data)


def test_a_system_that_passes_its_plugin_by_is_refused_at_its_first_loss(
    catalogue, batch
):
    class Bypass(VBPR):
        def encode_items(self, data, items=None):
            z = self._encode_modalities(data, items)
            content = torch.stack(list(z.values())).sum(0)
            gamma = self.item.weight if items is None else self.item.weight[items]
            return torch.cat([gamma, content, content[:, :1]], dim=1)

    data = catalogue(WIDTHS)
    model = Bypass.from_data(data, embedding_dim=6)
    model.training_loss(data, batch)
    model.attach(resolve_plugin("clear")[1], rank=2, strength=1.0)
    with pytest.raises(TypeError, match="Bypass does not read encode_modalities"):
        model.training_loss(data, batch)
    # Also where something else than the loss has read them, an evaluation for one.
    model.encode_modalities(data)
    model.start_epoch(data, 2, torch.Generator())
    with pytest.raises(TypeError, match="Bypass does not read encode_modalities"):
        model.training_loss(data, batch)


def test_a_programming_error_in_a_constructor_is_raised_as_it_is(
    catalogue, monkeypatch
):
    class Broken(VBPR):
        def __init__(self, num_users, num_items, dims, **options):
            super().__init__(num_users, num_items, dims, **options)
            raise ValueError("a mistake of the author")

    monkeypatch.setattr("mmgraph.models.registry.MODELS", {"Broken": Broken})
    with pytest.raises(ValueError, match=r"^a mistake of the author$") as caught:
        build_model("broken", catalogue(WIDTHS), embedding_dim=6)
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("name", available_models())
def test_every_option_is_declared_and_refused_alike_through_every_door(catalogue, name):
    data, model_class = catalogue(WIDTHS), resolve_model(name)[1]
    sizes = (9, 14, WIDTHS) if model_class.multimodal else (9, 14)
    for option in declared_options(model_class).values():
        assert option.annotation is not Any, option.name
        option.check(option.default, name)
        if option.help == "":
            assert option.name in {"fidelity"}, option.name
        for bad in (object(), -3, float("nan")):
            assert not fits(bad, option.annotation), (option.name, bad)
            messages = set()
            for build in (
                lambda **o: model_class(*sizes, **o),
                lambda **o: model_class.from_data(data, **o),
                lambda **o: build_model(name, data, **o),
            ):
                if option.name == "fidelity" and len(messages) == 1:
                    continue  # build_model lists what the system has
                with pytest.raises(UserError) as caught:
                    build(**{option.name: bad})
                messages.add(str(caught.value))
            assert len(messages) == 1


@pytest.mark.parametrize(
    ("name", "fidelity"),
    [
        (name, fidelity)
        for name in available_models()
        if resolve_model(name)[1].multimodal
        for fidelity in resolve_model(name)[1].fidelities
    ],
)
def test_the_order_in_which_modalities_are_named_changes_nothing(
    catalogue, batch, first_epoch, name, fidelity
):
    """Roles go by name: who anchors, who is last in a chain, who is contaminated."""
    widths = {"visual": 6, "textual": 6, "acoustic": 4}
    data = catalogue(widths)
    other = copy.copy(data)
    for m in widths:
        del other["item"][f"x_{m}"]
    for m in reversed(widths):
        other["item"][f"x_{m}"] = data["item"][f"x_{m}"]
    results = []
    for d in (data, other):
        torch.manual_seed(3)
        model = build_model(name, d, fidelity=fidelity, **SMALL.get(name, {}))
        torch.manual_seed(4)
        ready = first_epoch(model, d)
        results.append((model.state_dict(), model.training_loss(ready, batch)))
    for one, two in zip(*results, strict=True):
        assert list(one) == list(two)
        assert all(torch.equal(one[key], two[key]) for key in one)
    torch.manual_seed(3)
    swapped = type(model)(9, 14, dict(reversed(widths.items())))
    assert list(swapped.dims) == list(model.dims)


@pytest.mark.parametrize("name", ["CLEAR", "MENTOR", "SEA"])
def test_parameters_saved_under_former_names_are_found(catalogue, name):
    model, other = (small(name, catalogue(WIDTHS)) for _ in range(2))
    state = {
        key.replace("gcn.propagate.", "propagate.").replace("gcn.fuse", "fuse"): value
        for key, value in model.state_dict().items()
    }
    assert state.keys() != model.state_dict().keys()
    other.load_state_dict(state)
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
