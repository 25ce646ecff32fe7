"""Multimodal recommendation, native to PyTorch Geometric.

Sub-packages load on first use, so that ``mmgraph --help`` never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

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


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return import_module(f"mmgraph.{name}")
    raise AttributeError(f"module 'mmgraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
