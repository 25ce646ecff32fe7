"""The import rule: a folder imports only from the floors below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mmgraph"
BASE = {"device", "errors", "files", "options", "schema"}
FUNCTIONAL = BASE | {"functional"}
ALLOWED = {
    "allocator": set(),
    "errors": set(),
    "device": {"errors"},
    "files": {"errors"},
    "options": {"errors"},
    "schema": {"errors"},
    "functional": FUNCTIONAL,
    "nn": FUNCTIONAL | {"nn"},
    "knn": FUNCTIONAL | {"knn"},
    "data": FUNCTIONAL | {"data"},
    "transforms": FUNCTIONAL | {"data", "knn", "transforms"},
}
ALLOWED["models"] = ALLOWED["transforms"] | {"nn", "models"}
ALLOWED["train"] = ALLOWED["models"] | {"allocator", "train"}
ALLOWED["bench"] = ALLOWED["train"] | {"bench"}
ALLOWED["analysis"] = ALLOWED["bench"] | {"analysis"}
ALLOWED["cli"] = ALLOWED["analysis"] | {"cli"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_floors(tree: ast.AST) -> set[str]:
    floors = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "mmgraph":
                names = [f"mmgraph.{alias.name}" for alias in node.names]
            else:
                names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "mmgraph" and len(parts) > 1:
                floors.add(parts[1])
    return floors - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_lower_floors(path):
    floor = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if floor == "__init__":
        return
    above = imported_floors(ast.parse(path.read_text())) - ALLOWED[floor]
    assert not above, f"{floor} may not import {sorted(above)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_pickle_and_no_print_in_the_library(path):
    tree = ast.parse(path.read_text())
    floor = path.relative_to(PACKAGE).parts[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            modules.append(getattr(node, "module", None) or "")
            assert not {"pickle", "torch_geometric.io", "download_url"} & set(modules)
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            assert (node.arg, node.value.value) != ("allow_pickle", True)
            assert (node.arg, node.value.value) != ("weights_only", False)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or floor == "cli"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_of_fifty_lines_has_a_test_of_its_name(path):
    inside = path.relative_to(PACKAGE)
    small = len(path.read_text().splitlines()) < 50
    expected = Path(__file__).parent / inside.parent / f"test_{inside.name}"
    assert small or path.name == "__init__.py" or expected.is_file(), expected


def test_the_rule_sees_an_upward_import():
    tree = ast.parse("from mmgraph.models import build_model\nimport mmgraph.cli.app")
    assert imported_floors(tree) == {"models", "cli"}
