"""The systems, on one small interface."""

from mmgraph.models.base import Recommender
from mmgraph.models.batch import Batch
from mmgraph.models.registry import (
    available_models,
    available_plugins,
    build_model,
    model_options,
    register_model,
    resolve_model,
    resolve_plugin,
)

__all__ = [
    "Batch",
    "Recommender",
    "available_models",
    "available_plugins",
    "build_model",
    "model_options",
    "register_model",
    "resolve_model",
    "resolve_plugin",
]
