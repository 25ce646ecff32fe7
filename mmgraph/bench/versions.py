"""Versions of what results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import mmgraph

_PACKAGES = (
    "torch",
    "torch-geometric",
    "numpy",
    "scipy",
    "pandas",
    "faiss-cpu",
    "faiss-gpu",
    "torch-sparse",
    "torch-scatter",
)


def versions() -> dict[str, str]:
    """Versions of mmgraph, Python and the packages that are installed.

    Example:
        >>> versions()["mmgraph"] == mmgraph.__version__
        True
    """
    found = {"mmgraph": mmgraph.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
