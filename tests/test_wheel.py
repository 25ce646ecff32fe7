"""The wheel, installed into an environment of its own, far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mmgraph"
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def run(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as a release is, from the archive of sources that is built first.

    And from a copy, since building leaves folders behind.
    """
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "mmgraph", ignore=unwanted)
    run(sys.executable, "-m", "build", "--no-isolation", folder)
    (path,) = (folder / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a program of an environment that has the wheel, and what it requires."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    programs = folder / "venv" / "bin"
    words = ("install", "--quiet", "--no-deps", "--no-index", wheel)
    run(sys.executable, "-m", "pip", "--python", programs / "python", *words)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    # What it requires; an editable install there does not act through this.
    (packages / "required.pth").write_text(sysconfig.get_path("purelib") + "\n")
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def call(name, *words):
        return run(programs / name, *words, cwd=folder, env=inherited)

    return call


def test_all_that_is_no_code_is_inside_the_wheel(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".py")
    }
    assert "mmgraph/serving/page.html" in ours
    assert "mmgraph/analysis/report/page.html.jinja" in ours
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert ours <= inside
    code = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    assert code <= inside
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in inside)


def test_it_works_outside_the_checkout(installed, tmp_path):
    where = installed("python", "-c", "import mmgraph; print(mmgraph.__file__)")
    assert not Path(where.strip()).is_relative_to(ROOT)
    shop, run_folder, quiet = tmp_path / "shop", tmp_path / "run", "--quiet"
    sizes = ("--users", 60, "--items", 40, "--interactions", 8)
    installed("mmgraph", "data", "synth", "--out", shop, *sizes, quiet)
    words = ("--data", shop, "--out", run_folder, "--epochs", 1)
    installed("mmgraph", "train", "VBPR", *words, quiet)
    found = json.loads(installed("mmgraph", "evaluate", run_folder, "--json", quiet))
    assert 0 <= found["metrics"]["recall@20"] <= 1
    report = tmp_path / "report.html"
    words = ("--out", tmp_path / "graph.pt", "--report", report, quiet)
    installed("mmgraph", "knn", "build", shop / "visual.npz", *words)
    assert "<h1>kNN graph</h1>" in report.read_text("utf-8")
    assert '<h1 id="system">' in installed("python", "-c", PAGE)


PAGE = """
from mmgraph.serving.app import _PAGE
print(_PAGE.read_text("utf-8"))
"""
