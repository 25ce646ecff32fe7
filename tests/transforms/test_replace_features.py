import copy

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.transforms import ReplaceFeatures


@pytest.fixture
def data():
    data = HeteroData()
    data["item"].num_nodes = 6
    data["item"].x_visual = torch.arange(12.0).view(6, 2)
    data["item"].x_textual = torch.arange(6.0).view(6, 1)
    data["item"].mask_textual = torch.tensor([True, True, False, True, True, False])
    data["item", "similar", "item"].edge_index = torch.tensor([[0], [1]])
    return data


def test_rows_are_shuffled_together_with_their_masks(data):
    before = copy.deepcopy(data)
    after = ReplaceFeatures("shuffle", seed=3)(copy.copy(data))["item"]
    order = after.x_textual.flatten().long()
    assert sorted(order.tolist()) == list(range(6)) != order.tolist()
    assert torch.equal(after.x_visual, before["item"].x_visual[order])
    assert torch.equal(after.mask_textual, before["item"].mask_textual[order])
    for key in ("x_visual", "x_textual", "mask_textual"):  # the input is as it was
        assert torch.equal(data["item"][key], before["item"][key])


def test_the_seed_decides(data):
    def shuffled(seed):
        return ReplaceFeatures("shuffle", seed=seed)(copy.copy(data))["item"].x_visual

    assert torch.equal(shuffled(3), shuffled(3))
    assert not torch.equal(shuffled(3), shuffled(4))


def test_only_the_named_modalities_become_zero(data):
    after = ReplaceFeatures("zero", ["textual"])(copy.copy(data))
    assert not after["item"].x_textual.any()
    assert torch.equal(after["item"].mask_textual, data["item"].mask_textual)
    assert after["item"].x_visual is data["item"].x_visual
    assert after["item", "similar", "item"].num_edges == 1


def test_mistakes_are_told(data):
    with pytest.raises(ValueError, match=r"no modality 'audio' \(got \['visual', 't"):
        ReplaceFeatures("zero", ["audio"])(data)
    with pytest.raises(UserError, match="'how' must be one of 'shuffle', 'zero'"):
        ReplaceFeatures("mix")
