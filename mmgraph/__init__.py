"""Multimodal recommendation, native to PyTorch Geometric.

Everything here loads on first use, so that ``mmgraph --help`` never imports torch.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # importing typing would take longer than all of this
if TYPE_CHECKING:
    from typing import Any

    from mmgraph.data import load_dataset
    from mmgraph.knn import knn_graph
    from mmgraph.models import build_model
    from mmgraph.train import Trainer, evaluate

__version__ = "0.10.0"

__all__ = ["Trainer", "build_model", "evaluate", "knn_graph", "load_dataset"]

_HOMES = {
    "Trainer": "train",
    "build_model": "models",
    "evaluate": "train",
    "knn_graph": "knn",
    "load_dataset": "data",
}
_SUBPACKAGES = (
    "allocator",
    "analysis",
    "bench",
    "data",
    "device",
    "errors",
    "files",
    "functional",
    "knn",
    "models",
    "nn",
    "options",
    "schema",
    "train",
    "transforms",
)


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return import_module(f"mmgraph.{name}")
    if name in _HOMES:
        return getattr(import_module(f"mmgraph.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mmgraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBPACKAGES, "__version__"})
