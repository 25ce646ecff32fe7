from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models.parts.item_graph import fused_item_graph, modality_weights


def test_visual_gets_its_share_and_the_others_the_rest_equally():
    three = modality_weights(["acoustic", "visual", "textual"], 0.2)
    assert three == pytest.approx({"acoustic": 0.4, "visual": 0.2, "textual": 0.4})
    assert modality_weights(["visual", "textual"]) == {"visual": 0.1, "textual": 0.9}


@pytest.mark.parametrize("names", [["a"], ["visual"], ["a", "b"], ["a", "b", "c"]])
def test_without_a_visual_one_or_with_it_alone_all_share_equally(names):
    expected = dict.fromkeys(names, pytest.approx(1 / len(names)))
    assert modality_weights(names) == expected


def test_given_weights_replace_the_default(catalogue):
    data = catalogue({"a": 6, "b": 4}, num_items=30)
    fused = fused_item_graph(["a", "b"], 3, {"a": 0.25, "b": 0.75})(data)
    weight = fused["item", "similar", "item"].edge_weight
    allowed = torch.tensor([0.25 / 3, 0.75 / 3, 1 / 3])
    assert ((weight[:, None] - allowed).abs() < 1e-7).any(dim=1).all()


def test_rows_sum_to_one_and_hold_the_item_itself(catalogue):
    data = catalogue({"visual": 6, "textual": 4}, num_items=30)
    graph = fused_item_graph(["visual", "textual"], 4, None)(data)["similar"]
    neighbour, centre = graph.edge_index
    total = torch.zeros(30).index_add_(0, centre, graph.edge_weight.double())
    torch.testing.assert_close(total, torch.ones(30), rtol=1e-6, atol=0)
    own = graph.edge_weight[neighbour == centre]
    torch.testing.assert_close(own.double(), torch.full((30,), 0.25), rtol=1e-6, atol=0)


def test_weights_must_name_every_modality():
    expected = r"'modality_weights' must name a, b \(got {'a': 1.0}\) - give each"
    with pytest.raises(UserError, match=expected):
        fused_item_graph(["a", "b"], 3, {"a": 1.0})


def test_weights_must_not_all_be_zero():
    expected = r"'modality_weights' must have one above 0 \(got {'a': 0, 'b': 0.0}\)"
    with pytest.raises(UserError, match=expected):
        fused_item_graph(["a", "b"], 3, {"a": 0, "b": 0.0})
