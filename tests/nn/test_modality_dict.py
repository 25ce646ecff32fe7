from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmgraph.nn import NullSpaceProjection, SeparateLearningLoss
from mmgraph.nn.encoder import ModalityGraphEncoder
from mmgraph.nn.modality_dict import (
    ModalityDict,
    ModalityParameterDict,
    attribute_name,
    linear_maps,
    modality_name,
)

HARD = ["clip.v2", "keys", "items", "type", "training", "", "100%", "%keys", "a%2Eb"]


def test_is_a_module_dict_with_registered_parameters():
    maps = ModalityDict({"visual": nn.Linear(4, 2), "textual": nn.Linear(3, 2)})
    assert isinstance(maps, nn.ModuleDict)
    assert list(maps) == ["visual", "textual"]
    names = [name for name, _ in maps.named_parameters()]
    assert names == ["visual.weight", "visual.bias", "textual.weight", "textual.bias"]


@given(st.text("ab.%25E", max_size=8) | st.sampled_from(HARD))
def test_names_come_back_and_pytorch_takes_them(name):
    attribute = attribute_name(name, dir(nn.ModuleDict()))
    assert modality_name(attribute) == name
    nn.ModuleDict()[attribute] = nn.Identity()


@given(st.lists(st.text("a.%2E", max_size=6), unique=True))
def test_different_names_stay_different(names):
    assert len({attribute_name(name, ["a"]) for name in names}) == len(names)


@given(st.from_regex(r"[a-z0-9_\- ]+", fullmatch=True))
def test_ordinary_names_stay_as_they_are(name):
    assert attribute_name(name) == name


@pytest.mark.parametrize("name", HARD)
def test_a_dict_of_modules_holds_any_name(name):
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    maps = ModalityDict({"visual": first, name: second})
    assert list(maps) == list(maps.keys()) == ["visual", name]
    assert dict(maps.items()) == {"visual": first, name: second}
    assert list(maps.values()) == [first, second]
    assert maps[name] is second
    assert name in maps
    assert "textual" not in maps
    twin = ModalityDict({"visual": nn.Linear(2, 2), name: nn.Linear(2, 1)})
    twin.load_state_dict(maps.state_dict())
    assert torch.equal(twin[name].weight, second.weight)
    assert maps.pop(name) is second
    assert list(maps) == ["visual"]


@pytest.mark.parametrize("name", HARD)
def test_a_dict_of_parameters_holds_any_name(name):
    tensors = {"visual": torch.ones(1), name: torch.zeros(2)}
    maps = ModalityParameterDict(tensors)
    assert set(maps) == set(maps.keys()) == set(tensors)
    assert all(torch.equal(maps[m], tensors[m]) for m in tensors)
    assert len(list(maps.parameters())) == 2
    del maps[name]
    assert list(maps) == ["visual"]


@pytest.mark.parametrize("name", HARD)
def test_layers_and_losses_take_any_name(name):
    z = {m: torch.randn(9, 4) for m in ("visual", name)}
    encoder = ModalityGraphEncoder(2, list(z), 4, num_layers=1)
    assert set(encoder(z, torch.tensor([[0, 2], [2, 0]]))) == set(z)
    loss = SeparateLearningLoss(dict.fromkeys(z, 4), club_shared=False)
    assert loss.club_step(z) is not None
    assert set(loss(z)) == {"align", "distance"}
    project = NullSpaceProjection(1, 1.0, center_output=True)
    project.refresh(z)
    loaded = NullSpaceProjection(1, 1.0, center_output=True)
    loaded.load_state_dict(project.state_dict())
    assert loaded.modalities == list(z)
    for m, x in project(z).items():
        assert not torch.equal(x, z[m])
        assert torch.equal(loaded(z)[m], x)


def test_linear_maps_are_plain_linear_layers_in_the_order_of_the_modalities():
    torch.manual_seed(0)
    maps = linear_maps({"b": 3, "a.v2": 5}, 2, bias=False)
    torch.manual_seed(0)
    plain = [nn.Linear(3, 2, bias=False), nn.Linear(5, 2, bias=False)]
    assert list(maps) == ["b", "a.v2"]
    for layer, other in zip(maps.values(), plain, strict=True):
        assert torch.equal(layer.weight, other.weight)
        assert layer.bias is None
