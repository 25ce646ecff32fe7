from __future__ import annotations

from torch import nn

from mmgraph.nn.modality_dict import ModalityDict


def test_is_a_module_dict_with_registered_parameters():
    maps = ModalityDict({"visual": nn.Linear(4, 2), "textual": nn.Linear(3, 2)})
    assert isinstance(maps, nn.ModuleDict)
    assert list(maps) == ["visual", "textual"]
    names = [name for name, _ in maps.named_parameters()]
    assert names == ["visual.weight", "visual.bias", "textual.weight", "textual.bias"]
