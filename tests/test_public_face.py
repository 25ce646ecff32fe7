"""What a user of PyTorch Geometric would guess, and what stays lazy."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mmgraph

ROOT = Path(__file__).parent.parent
GUESSES = {
    "mmgraph": ["load_dataset", "knn_graph", "build_model", "Trainer", "evaluate"],
    "mmgraph.nn": [
        "LightGCNConv",
        "LightGCNEncoder",
        "MultimodalGCN",
        "ModalityEncoder",
        "NullSpaceProjection",
        "UserModalityWeights",
        "SoloSimLoss",
    ],
    "mmgraph.models": ["CLEAR", "LightGCN", "FREEDOM", "Plugin", "CLEARPlugin"],
    "mmgraph.models.plugins": ["CLEARPlugin", "SEAPlugin", "Plugin"],
    "mmgraph.functional": ["Adjacency", "suppress", "info_nce"],
    "mmgraph.transforms": ["ItemKNNGraph", "NullSpaceProjection"],
    "mmgraph.data": ["load_dataset", "from_interactions"],
    "mmgraph.train": ["Trainer", "evaluate", "recommend"],
    "mmgraph.knn": ["knn_graph"],
}
PUBLIC = ["mmgraph", *(f"mmgraph.{name}" for name in mmgraph._SUBPACKAGES)]


@pytest.mark.parametrize(
    ("package", "name"), [(p, name) for p, names in GUESSES.items() for name in names]
)
def test_a_guessed_import_works_and_is_promised(package, name):
    module = import_module(package)
    assert getattr(module, name).__name__ == name
    assert name in module.__all__


@pytest.mark.parametrize("package", PUBLIC)
def test_what_is_promised_is_there(package):
    module = import_module(package)
    names = getattr(module, "__all__", [])
    assert all(hasattr(module, name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", sorted(mmgraph.__all__))
def test_a_short_name_is_the_object_of_its_package(name):
    home = import_module(f"mmgraph.{mmgraph._HOMES[name]}")
    assert getattr(mmgraph, name) is getattr(home, name)
    assert name in dir(mmgraph)


def test_dir_lists_what_is_promised_and_nothing_else():
    promised = {*mmgraph.__all__, *mmgraph._SUBPACKAGES, "__version__"}
    assert set(dir(mmgraph)) == promised


@pytest.mark.parametrize("package", [name for name in PUBLIC if name != "mmgraph"])
def test_dir_of_a_package_lists_the_promised_names_and_its_modules(package):
    module = import_module(package)
    if not hasattr(module, "__path__"):
        pytest.skip("a module, no package")
    public = {name for name in dir(module) if not name.startswith("_")}
    others = public - set(module.__all__)
    own = [getattr(module, name).__name__ for name in sorted(others)]
    assert own == [f"{package}.{name}" for name in sorted(others)]


def test_a_star_import_brings_the_promised_names():
    names = {}
    exec("from mmgraph import *", names)
    assert set(mmgraph.__all__) <= set(names)


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="'mmgraph' has no attribute 'train_it'"):
        _ = mmgraph.train_it


@pytest.mark.parametrize(
    "code",
    [
        "import mmgraph; dir(mmgraph)",
        "from mmgraph.cli import main; main(['--help'])",
        "from mmgraph.cli import main; main(['train', '--help'])",
    ],
)
def test_nothing_loads_torch_before_it_is_needed(code):
    code += "; import sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_where_the_short_names_come_from():
    tree = ast.parse(Path(mmgraph.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    homes = {alias.name: node.module for node in block.body for alias in node.names}
    assert homes.pop("Any") == "typing"
    assert homes == {name: f"mmgraph.{home}" for name, home in mmgraph._HOMES.items()}
