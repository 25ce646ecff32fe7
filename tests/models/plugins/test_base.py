from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import CLEARPlugin, SEAPlugin, build_model
from mmgraph.models.plugins.base import Plugin

WIDTHS = {"visual": 8, "textual": 6}
HOSTS = ["VBPR", "FREEDOM"]
SIMILAR = ("item", "similar", "item")


def make(host, data, plugin=None, **options):
    torch.manual_seed(4)
    options = {"embedding_dim": 6, "reg_weight": 0.3} | options
    if host == "FREEDOM":
        options = {"k": 3, "edge_drop": 0.5} | options
    return build_model(host, data, plugin=plugin, **options)


@pytest.mark.parametrize("host", HOSTS)
def test_the_base_plugin_changes_nothing(catalogue, batch, first_epoch, host):
    data = catalogue(WIDTHS)
    bare, carrying = make(host, data), make(host, data)
    carrying.plugin = Plugin(carrying.modality_dims())
    losses = []
    for model in (bare, carrying):
        losses.append(model.training_loss(first_epoch(model, data), batch))
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])
    assert carrying.all_auxiliary_parameters() == []
    assert carrying.all_auxiliary_optimizers() == {}


def assign(model, plugin):
    model.plugin = plugin


def add_module(model, plugin):
    model.add_module("plugin", plugin)


def register_module(model, plugin):
    model.register_module("plugin", plugin)


DOORS = [assign, add_module, register_module]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("host", "plugin", "options", "message"),
    [
        ("CLEAR", CLEARPlugin(WIDTHS, rank=2), {}, "CLEAR has this plug-in built in"),
        ("SEA", SEAPlugin({"a": 6, "b": 6}), {}, "SEA has this plug-in built in"),
        ("LightGCN", CLEARPlugin(WIDTHS, rank=2), {}, "LightGCN has no modality enc"),
        ("VBPR", CLEARPlugin(WIDTHS, rank=2, where="graph"), {}, "VBPR has no item gr"),
        ("VBPR", Plugin({"visual": 6, "textual": 5}), {}, "Plugin is for dimensions"),
        ("VBPR", Plugin({"visual": 6}), {}, "VBPR has {'visual': 6, 'textual': 6}"),
        ("VBPR", Plugin({}), {}, "is for dimensions {}, VBPR has"),
        ("MMGCN", SEAPlugin({"a": 6, "b": 6}), {}, "takes these features as they are"),
        ("LATTICE", Plugin(WIDTHS), {"raw_weight": 1.0}, "do not reach its scores"),
    ],
)
def test_a_plugin_is_checked_at_every_door(
    catalogue, door, host, plugin, options, message
):
    data = catalogue(WIDTHS)
    rank = {"rank": 2} if host == "CLEAR" else {}
    model = build_model(host, data, embedding_dim=6, **options, **rank)
    with pytest.raises(UserError, match=message):
        door(model, plugin)
    assert model.plugin is None
    assert not any(isinstance(part, Plugin) for part in model.modules())


@pytest.mark.parametrize("door", [*DOORS, lambda m, p: m.attach(p)])
@pytest.mark.parametrize("wrong", ["clear", 3, torch.nn.Linear(2, 2), Plugin])
def test_what_is_no_plugin_is_refused_at_every_door(catalogue, door, wrong):
    model = make("VBPR", catalogue(WIDTHS))
    if wrong is Plugin and door not in DOORS:
        wrong = torch.nn.Linear
    with pytest.raises(TypeError, match=r"a plug-in('s class)? must be a "):
        door(model, wrong)
    assert model.plugin is None


@pytest.mark.parametrize("door", DOORS)
def test_a_good_plugin_passes_every_door_and_can_be_detached(catalogue, door):
    data = catalogue(WIDTHS)
    attached = make("VBPR", data, "clear", rank=2)
    model = make("VBPR", data)
    door(model, copy.deepcopy(attached.plugin))
    assert list(model.state_dict()) == list(attached.state_dict())
    other = copy.deepcopy(model)
    other.load_state_dict(attached.state_dict())
    assert other.plugin is not model.plugin
    model.plugin = None
    assert list(model.state_dict()) == list(make("VBPR", data).state_dict())
    assert model.all_auxiliary_parameters() == []


class Penalty(Plugin):
    """With a term of a name that hosts have, too."""

    def losses(self, encode, data, batch):
        return {"reg": torch.zeros(())}


def test_a_term_of_the_host_is_not_replaced(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make("VBPR", data)
    model.plugin = Penalty(model.modality_dims())
    prepared = first_epoch(model, data)
    with pytest.raises(TypeError, match="VBPR and Penalty have a term 'reg' each"):
        model.training_loss(prepared, batch)
