"""Versions of the packages that results depend on."""

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
    installed = {"mmgraph": mmgraph.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
