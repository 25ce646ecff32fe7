from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from mmgraph.encode.packages import load_package, load_torchvision
from mmgraph.errors import UserError


def test_a_missing_package_is_one_line_with_the_extra():
    with pytest.raises(UserError) as error:
        load_package("no_such_package")
    assert str(error.value) == (
        "no_such_package is not installed - pip install 'mmgraph[encode]'"
    )


def test_a_package_that_does_not_load_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('built for\\nB')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"^broken_package cannot be loaded \(built f"):
        load_package("broken_package")


def test_torchvision_loads_beside_any_build_of_torch():
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    load_torchvision()
    assert "torchvision" in sys.modules
    transforms = importlib.import_module("torchvision.transforms")
    assert callable(transforms.Compose)
