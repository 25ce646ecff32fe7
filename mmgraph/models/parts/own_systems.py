"""Systems of other packages: modules that are named, and entry points."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from mmgraph.errors import UserError

#: The variable that names modules, with commas between; processes inherit it.
VARIABLE = "MMGRAPH_IMPORT"
#: Entry points of installed packages: a name, and the class of a system or a plug-in.
SYSTEMS, PLUGINS = "mmgraph.models", "mmgraph.plugins"

logger = logging.getLogger(__name__)
_imported: set[str] = set()
_groups_read: set[str] = set()


def import_named_modules() -> None:
    """Import the modules that the variable names, each once.

    They register their systems themselves, see
    :func:`~mmgraph.models.registry.register_model`.

    Raises:
        UserError: If one cannot be imported.
    """
    for name in filter(None, os.environ.get(VARIABLE, "").split(",")):
        if name not in _imported:
            _imported.add(name)  # before: it looks systems up itself
            try:
                _import(name)
            except Exception as error:
                _imported.discard(name)
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"cannot import {name!r} ({reason})",
                    "give --import a module that Python finds, or a file .py",
                ) from error


def _import(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module at {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as import does: dataclasses ask for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def read_entry_points(group: str, register: Callable[[str, type], None]) -> None:
    """Register the systems or plug-ins of installed packages, once.

    A package that is broken is logged and left out, so that all others can be used.

    Args:
        group: The group of entry points.
        register: Gets the name and the class of each.
    """
    if group in _groups_read:
        return
    _groups_read.add(group)
    for entry in entry_points(group=group):
        try:
            register(entry.name, entry.load())
        except Exception as error:
            logger.warning(
                "%s of %s is left out (%s: %s)",
                *(entry.name, entry.value, type(error).__name__, error),
            )
