"""SEA's linear maps composed, and the direct path."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from reference.sea import away_from_start, make
from torch.utils.flop_counter import FlopCounterMode

from mmgraph.models.plugins.base import Plugin


@pytest.fixture
def planted(catalogue, randomise):
    return partial(away_from_start, catalogue, randomise)


@pytest.mark.parametrize("candidates", ["all", "batch"])
@pytest.mark.parametrize("variant", "ac")
@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_composed_maps_equal_the_direct_path(
    catalogue, batch, agree, fidelity, variant, candidates
):
    # Wide enough, and items enough, that composing pays for one of the two modalities.
    data = catalogue({"visual": 400, "textual": 40}, num_items=160)
    options = {"variant": variant, "candidates": candidates, "hidden_dim": 4}
    composed = make(data, fidelity, club_inner_steps=3, **options)
    data = composed.add_graphs(data)
    direct = copy.deepcopy(composed)
    # It does nothing, but wants the encoders' output itself.
    direct.plugin = Plugin(direct.modality_dims())
    losses = []
    for model in (composed, direct):
        model.train()
        torch.manual_seed(2)
        losses.append(model.loss(data, batch))
    for a, b in zip(
        composed.auxiliary_parameters(), direct.auxiliary_parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    gradients = []
    for model, terms in zip((composed, direct), losses, strict=True):
        torch.stack(list(terms.values())).sum().backward()
        gradients.append({k: p.grad for k, p in model.named_parameters()})
    for name in losses[0]:
        torch.testing.assert_close(losses[0][name], losses[1][name], rtol=1e-8, atol=0)
    for key, gradient in gradients[0].items():
        other = gradients[1][key.replace("plugin.", "")]
        if gradient is None or other is None:
            assert gradient is other is None, key
        else:
            torch.testing.assert_close(gradient, other, rtol=1e-7, atol=1e-11)


def test_composed_embeddings_equal_the_direct_ones_and_cost_less(catalogue):
    data = catalogue({"visual": 400, "textual": 40}, num_items=160)
    model = make(data, hidden_dim=4)
    data, out, flops = model.add_graphs(data), [], []
    for plugin in (None, Plugin(model.modality_dims())):
        model.plugin = plugin
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            out.append(model.encode(data))
        flops.append(counter.get_total_flops())
    for composed, direct in zip(*out, strict=True):
        torch.testing.assert_close(composed, direct, rtol=1e-9, atol=1e-11)
    assert flops[0] < 0.5 * flops[1]


def test_both_paths_name_the_same_terms(planted, batch):
    """A history has one set of columns, whatever is switched off."""
    for candidates in ("all", "batch"):
        options = {"align_weight": 0.0, "distance_weight": 0.0}
        for name in options:
            model, data = planted(candidates=candidates, **(options | {name: 0.3}))
            composed = model.loss(data, batch)
            model.plugin = Plugin(model.modality_dims())
            assert composed.keys() == model.loss(data, batch).keys()
        model, data = planted(candidates=candidates, **options)
        assert composed.keys() == model.loss(data, batch).keys()
