"""Packages of the extra ``[encode]``, loaded when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from functools import cache
from typing import Any

from mmgraph.errors import UserError

_LOUD = ("timm", "sentence_transformers", "transformers", "huggingface_hub", "httpx")
_USE_TORCHVISION = ("timm", "sentence_transformers", "transformers")
#: Operators that torchvision describes on import, loaded or not.
_DESCRIBED = ("nms() -> ()", "qnms() -> ()")


def check_installed(name: str) -> None:
    """Refuse a package of the extra that is not there, without loading it.

    Raises:
        UserError: If it is not installed.

    Example:
        >>> check_installed("no_such_package")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: no_such_package is not installed - \
pip install 'mmgraph[encode]'
    """
    if importlib.util.find_spec(name) is None:
        raise UserError(f"{name} is not installed", "pip install 'mmgraph[encode]'")


def load_package(name: str) -> Any:
    """A package of the extra, silent but for its warnings.

    Args:
        name: ``sentence_transformers``, ``timm``, ``huggingface_hub`` or ``PIL``.

    Raises:
        UserError: If it is not installed, or cannot be loaded.

    Example:
        >>> load_package("json").loads("1")
        1
    """
    check_installed(name)
    try:
        if name in _USE_TORCHVISION:
            load_torchvision()
        package = importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{name} cannot be loaded ({reason})",
            "install torch, torchvision and it anew, in versions that fit together",
        ) from error
    for loud in _LOUD:
        logging.getLogger(loud).setLevel(logging.WARNING)
    return package


@cache
def load_torchvision() -> object:
    """Load torchvision, which timm and transformers import, beside any build of torch.

    The package index has torchvision for CUDA alone. Beside a torch for CPUs its
    compiled operators are not found, and its import then fails for the lack of two
    names, of operators that no encoder calls. They are declared here, without a body.

    Returns:
        What the declarations last as long as; None where none was needed.

    Raises:
        RuntimeError: If it cannot be loaded for another reason.
    """
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        from torch.library import Library

        declared = Library("torchvision", "FRAGMENT")
        for signature in _DESCRIBED:
            declared.define(signature)
        importlib.import_module("torchvision")
        return declared
    return None
