from __future__ import annotations

import sys

import pytest

from mmgraph.errors import UserError
from mmgraph.models.parts import own_systems
from mmgraph.models.parts.own_systems import import_named_modules, read_entry_points


@pytest.fixture(autouse=True)
def _new_process(tmp_path, monkeypatch):
    monkeypatch.setattr(own_systems, "_imported", set())
    monkeypatch.setattr(own_systems, "_groups_read", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "seen.py").write_text("count = 0\n")


def module(path, name, text="import seen\nseen.count += 1\n"):
    (path / f"{name}.py").write_text(text)


def test_modules_and_files_are_imported_once(tmp_path, monkeypatch):
    module(tmp_path, "by_name")
    module(tmp_path, "by_path")
    file = str(tmp_path / "by_path.py")
    monkeypatch.setenv(own_systems.VARIABLE, f"by_name,,{file}")
    for _ in range(2):
        import_named_modules()
        assert sys.modules["seen"].count == 2
    for name in ("seen", "by_name", "by_path"):
        monkeypatch.delitem(sys.modules, name)


def test_a_module_that_failed_is_tried_again(tmp_path, monkeypatch):
    module(tmp_path, "late", "raise RuntimeError('not yet')")
    monkeypatch.setenv(own_systems.VARIABLE, str(tmp_path / "late.py"))
    with pytest.raises(UserError, match=r"cannot import .*late.*RuntimeError: not yet"):
        import_named_modules()
    module(tmp_path, "late", "found = True")
    import_named_modules()
    assert sys.modules["late"].found
    monkeypatch.delitem(sys.modules, "late")


def test_entry_points_are_read_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        own_systems, "entry_points", lambda group: asked.append(group) or []
    )
    for group in ("a", "b", "a"):
        read_entry_points(group, lambda name, value: None)
    assert asked == ["a", "b"]
