"""The rules of the house: floors, circles, shadows, pickle, prints, tests, folders."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mmgraph"
LOWEST = {"checksum", "errors", "files", "lock"}
BASE = LOWEST | {"device", "folders", "options", "schema", "shards"}
FUNCTIONAL = BASE | {"functional"}
ALLOWED = {
    "allocator": set(),
    "child_processes": set(),
    "cluster": {"checksum", "device", "errors"},
    "errors": set(),
    "checksum": {"errors"},
    "device": {"checksum", "errors"},
    "distributed": {"checksum", "device", "distributed", "errors"},
    "files": {"checksum", "errors"},
    "folders": LOWEST,
    "lock": LOWEST - {"lock"},
    "options": {"checksum", "errors"},
    "schema": {"checksum", "errors"},
    "shards": {"checksum", "errors"},
    "functional": FUNCTIONAL,
    "nn": FUNCTIONAL | {"nn"},
    "knn": FUNCTIONAL | {"child_processes", "cluster", "knn"},
    "data": FUNCTIONAL | {"data"},
}
ALLOWED["transforms"] = ALLOWED["knn"] | {"data", "transforms"}
ALLOWED["encode"] = ALLOWED["data"] | {"cluster", "encode"}
ALLOWED["models"] = ALLOWED["transforms"] | {"nn", "models"}
ALLOWED["train"] = ALLOWED["models"] | {"allocator", "distributed", "train"}
ALLOWED["bench"] = ALLOWED["train"] | {"bench"}
ALLOWED["analysis"] = ALLOWED["bench"] | {"analysis"}
ALLOWED["tuning"] = ALLOWED["bench"] | {"tuning"}
ALLOWED["serving"] = ALLOWED["bench"] | {"serving"}
ALLOWED["cli"] = ALLOWED["analysis"] | {"encode", "serving", "tuning", "cli"}

MOST_FILES = 16
LARGE_FOLDERS = {"models": "one file for each of eighteen systems, and nothing else"}

FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in FILES}


def imported(tree: ast.AST) -> set[str]:
    """All modules of the package that are imported anywhere in a file.

    Also in functions and for type checkers. ``from a import b`` is the module ``a.b``
    where there is one, else ``a``.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in NAMES else node.module)
    return {name for name in names if name.startswith("mmgraph.")}


def imported_floors(tree: ast.AST) -> set[str]:
    return {name.split(".")[1] for name in imported(tree)}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that reach each other: Tarjan's strong components."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == order[node]:
            place = stack.index(node)
            component, stack[place:] = set(stack[place:]), []
            if len(component) > 1 or node in graph.get(node, ()):
                found.append(component)

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def shadows(package: ModuleType, inner: list[str]) -> set[str]:
    """Modules whose name in their package is something else."""
    full = {name: f"{package.__name__}.{name}" for name in inner}
    return {
        module
        for name, module in full.items()
        if getattr(package, name, import_module(module)) is not import_module(module)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_lower_floors(path):
    floor = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if floor in ("__init__", "__main__"):
        return
    above = imported_floors(ast.parse(path.read_text())) - ALLOWED[floor]
    assert not above, f"{floor} may not import {sorted(above)}"


def table_of_floors(page: str) -> dict[str, set[str]]:
    """Floors that each floor may import: those named beside it, and theirs."""
    table = page.partition("| Floor |")[2].partition("\n\n")[0]
    beside = {}
    for row in table.splitlines()[2:]:
        first, *_, last = row.strip("|").split("|")
        for floor in re.findall(r"`(\w+)`", first):
            beside[floor] = set(re.findall(r"`(\w+)`", last))

    def reach(floor: str) -> set[str]:
        return beside[floor].union(*(reach(below) for below in beside[floor]))

    return {floor: reach(floor) for floor in beside}


def test_the_table_of_floors_in_the_docs_is_the_tested_one():
    pages = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    (page,) = (page for page in pages if "| Floor |" in page)
    own_left_out = {floor: names - {floor} for floor, names in ALLOWED.items()}
    assert table_of_floors(page) == own_left_out


def test_no_import_circle():
    trees = {module_name(path): ast.parse(path.read_text()) for path in FILES}
    # The package itself is lazy and above all others; they know its version alone.
    graph = {name: imported(tree) for name, tree in trees.items() if name != "mmgraph"}
    assert circles(graph) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_is_shadowed_by_something_of_its_name(folder):
    name = module_name(folder / "__init__.py")
    inner = {module for module in NAMES if module.rpartition(".")[0] == name}
    names = [module.rpartition(".")[2] for module in inner]
    assert shadows(import_module(name), names) == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_can_be_overlooked(folder):
    number = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
    name = str(folder.relative_to(PACKAGE))
    assert (number > MOST_FILES) == (name in LARGE_FOLDERS), (
        f"{folder.name} has {number} files: give it folders that are concepts"
    )


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
    tree = ast.parse("from mmgraph import train, __version__")
    assert imported_floors(tree) == {"train"}


def test_the_rule_sees_circles_behind_type_checking_and_in_functions():
    tree = ast.parse(
        "if TYPE_CHECKING:\n    from mmgraph.train import trainer\n"
        "def f():\n    from mmgraph.errors import UserError\n"
    )
    assert imported(tree) == {"mmgraph.train.trainer", "mmgraph.errors"}
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}, "e": {"f"}}
    assert circles(graph) == [{"b", "c"}, {"d"}]


def test_the_rule_sees_a_shadow():
    package = ModuleType("mmgraph.train")
    package.__path__ = [str(PACKAGE / "train")]
    package.trainer = object()
    assert shadows(package, ["trainer", "history"]) == {"mmgraph.train.trainer"}
