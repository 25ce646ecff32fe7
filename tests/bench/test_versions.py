from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError

import numpy as np
import scipy

import mmgraph
from mmgraph.bench import versions as module
from mmgraph.bench.versions import versions


def test_versions_are_those_of_the_modules_themselves():
    found = versions()
    assert found["mmgraph"] == mmgraph.__version__
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["scipy"] == scipy.__version__


def test_what_is_not_installed_is_left_out(monkeypatch):
    def version(package):
        if package != "torch":
            raise PackageNotFoundError(package)
        return "9.9"

    monkeypatch.setattr(module, "version", version)
    assert set(versions()) == {"mmgraph", "python", "torch"}
    assert versions()["torch"] == "9.9"
