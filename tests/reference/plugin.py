"""A plug-in whose effect is known."""

from __future__ import annotations

import torch

from mmgraph.models.plugins.base import Plugin


class Affine(Plugin):
    """Twice the embeddings and one."""

    def forward(self, z):
        return {m: 2.0 * x + 1.0 for m, x in z.items()}


def check_that_its_output_is_used(model, loss):
    """Linear encoders ``model.project`` of that effect give the plug-in's losses.

    ``loss`` gives the model's loss terms from the same draws at every call.
    """
    model.plugin = Affine(model.modality_dims())
    with_plugin = loss()
    model.plugin = None
    assert abs(loss()["bpr"] - with_plugin["bpr"]) > 1e-6
    with torch.no_grad():
        for linear in model.project.values():
            linear.weight.mul_(2.0)
            linear.bias.mul_(2.0).add_(1.0)
    for term, value in loss().items():
        torch.testing.assert_close(value, with_plugin[term], rtol=1e-12, atol=1e-14)
