from __future__ import annotations

import pytest
import torch

from mmgraph.models import build_model
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
