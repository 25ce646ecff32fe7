"""What a checkpoint belongs to: the model, its options, the seed and the data."""

from __future__ import annotations

import json
from typing import Any

import torch

import mmgraph
from mmgraph.device import device_name
from mmgraph.models.base import Recommender
from mmgraph.options import options_of
from mmgraph.train.training_options import TrainingOptions


def run_identity(
    model: Recommender, options: TrainingOptions, data_sha256: str
) -> dict[str, Any]:
    """What two parts of one run must have in common, as JSON would give it back.

    Args:
        model: The model.
        options: Options of the training.
        data_sha256: Content hash of training and validation split.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> from mmgraph.train import Trainer
        >>> model = MFBPR(2, 3, reg_weight=0.5)
        >>> identity = run_identity(model, Trainer().options_for(model), "")
        >>> identity["model"], identity["model option 'reg_weight'"], identity["seed"]
        ('MFBPR(2, 3, embedding_dim=64)', 0.5, 999)
    """
    identity: dict[str, Any] = {"model": repr(model), **options.identity()}
    of_features = options_of(model.feature_settings)
    known = type(model).feature_options()
    identity |= _named("model", {n: v for n, v in of_features.items() if n in known})
    identity |= _named("model", options_of(model))
    plugin = model.plugin
    identity["plug-in"] = None if plugin is None else type(plugin).__name__
    if plugin is not None:
        identity |= _named("plug-in", options_of(plugin))
    identity["data"] = data_sha256
    as_read: dict[str, Any] = json.loads(json.dumps(identity, default=repr))
    return as_read


def surroundings(device: torch.device) -> dict[str, str]:
    """What may change the last digits, or the random numbers, of the same run.

    Example:
        >>> sorted(surroundings(torch.device("cpu")))
        ['device', 'mmgraph', 'torch']
    """
    return {
        "mmgraph": mmgraph.__version__,
        "torch": torch.__version__,
        "device": device_name(torch.device(device.type)),
    }


def _named(owner: str, options: dict[str, Any]) -> dict[str, Any]:
    return {f"{owner} option {name!r}": value for name, value in options.items()}
