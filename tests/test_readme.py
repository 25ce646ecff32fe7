"""What the documentation shows is what happens."""

from __future__ import annotations

import ast
import pkgutil
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import typer.main

import mmgraph
from mmgraph.analysis.reproduce import select
from mmgraph.bench.config import canonical, check_settings, check_values
from mmgraph.bench.recipe import load_recipe
from mmgraph.bench.spec import parse_options, parse_spec
from mmgraph.cli import main
from mmgraph.cli.app import app
from mmgraph.models import available_models, available_plugins, registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = [README, *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*DOCS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
INSTALL = (
    "pip install -e '.[cpu]' -c constraints.txt && mmgraph bench",
    "pip install -e '.[cpu,plots,test]' -c constraints.txt && pytest",
)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
FLOAT = re.compile(r"\d+\.\d+(e-?\d+)?")
NUMBER = re.compile(r"\d+(\.\d+)?(e-?\d+)?")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    page = path.read_text("utf-8")
    return [
        Block(found[1], found[2], page.count("\n", 0, found.start(2)) + 1)
        for found in FENCED.finditer(page)
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in DOCS if any(b.language == "python" for b in blocks(path))],
    ids=lambda path: path.name,
)
def test_python_blocks_run_and_print_what_is_shown(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))
    namespace: dict = {"__name__": "documentation"}
    before = None
    for block in blocks(path):
        if block.language == "python":
            # Blank lines in front: a traceback then names the line of the page.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(path), "exec"), namespace)
            printed = capsys.readouterr().out
        elif block.language == "text" and before == "python":
            assert FLOAT.sub("#", printed) == FLOAT.sub("#", block.text)
        before = block.language


def shown_commands(block: Block) -> list[str]:
    """The commands of a bash block, or those behind ``$`` of a console block."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [part.strip() for line in lines for part in line.split("&&")]


COMMANDS = [
    pytest.param(command, id=f"{path.name}: {command}")
    for path in PAGES
    for block in blocks(path)
    if block.language in ("bash", "console")
    for command in shown_commands(block)
    if command.startswith("mmgraph")
]
# Those within a sentence, if they go beyond a sub-command's name.
COMMANDS += [
    pytest.param(command, id=f"{path.name}: {command}")
    for path in PAGES
    for command in re.findall(r"`(mmgraph [^`\n]* --?[^`\n]*)`", path.read_text())
]


def parse(words: list[str]) -> dict:
    """Arguments and options of a command, read by the application's own parser."""
    command, context, name = typer.main.get_command(app), None, "mmgraph"
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(words), parent=context)
        name, command, words = command.resolve_command(context, words)
    return command.make_context(name, list(words), parent=context).params


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses_and_names_what_exists(command):
    options = parse(shlex.split(command)[1:])
    models = options.get("models") or []
    if options.get("model"):
        models = [options["model"]]
    specs = [canonical(parse_spec(model)) for model in models]
    if specs:
        settings = parse_options(options["set_"] or [])
        check_settings(settings, specs)
        check_values(settings, specs)
    for spec in specs:
        check_values(spec.options, [spec])
    if command.startswith("mmgraph reproduce"):
        assert options["list_"] or select(options["names"])
    if options.get("recipe"):
        assert load_recipe(options["recipe"]).models


def test_the_parser_refuses_what_does_not_exist():
    for wrong in ("mmgraph trane LightGCN", "mmgraph bench --sed 3"):
        with pytest.raises(Exception, match=r"No such (command|option)"):
            parse(shlex.split(wrong)[1:])


def test_the_tour_of_the_command_line_prints_what_is_shown(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    # The page shows a machine without a GPU.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tour,) = (block for block in blocks(README) if block.language == "console")
    steps = re.split(r"^\$ ", tour.text, flags=re.MULTILINE)[1:]
    assert len(steps) == 6
    for step in steps:
        command, _, shown = step.partition("\n")
        program, *words = shlex.split(command)
        if program == "cat":
            printed = Path(*words).read_text()
        else:
            assert program == "mmgraph"
            assert main([*words]) == 0, capsys.readouterr().err
            printed = capsys.readouterr().out
        assert masked(printed) == masked(shown), command


def masked(text: str) -> list[str]:
    """Lines without the figures, which differ between machines."""
    return NUMBER.sub("#", DIGEST.sub("#", text)).splitlines()


def test_the_two_set_up_commands_stand_alone_on_their_lines():
    lines = README.read_text("utf-8").splitlines()
    bash = [block.text.splitlines() for block in blocks(README)]
    for command in INSTALL:
        assert lines.count(command) == 1
        assert [command] in bash


def test_continuous_integration_finds_the_test_command():
    pattern = r"grep -m1 \"(\^.*?)\" README\.md"
    (pattern,) = re.findall(pattern, (ROOT / ".ci" / "run").read_text("utf-8"))
    found = re.findall(f"{pattern}.*$", README.read_text("utf-8"), re.MULTILINE)
    assert found == [INSTALL[1]]


def test_the_table_lists_the_systems_and_what_they_take():
    rows = re.findall(r"^\| `([\w-]+)`(.*)\|$", README.read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == available_models()
    for name, row in rows:
        *_, features, fidelity, plugins = (cell.strip() for cell in row.split("|"))
        model = registry.MODELS[name]
        assert tuple(fidelity.split(", ")) == model.fidelities
        assert bool(features) == model.multimodal
        hook = registry.Recommender._encode_modalities
        encodes = model._encode_modalities is not hook
        fitting = [p for p in available_plugins() if encodes and p != name]
        assert plugins == ", ".join(fitting)


def defined_names(path: Path) -> set[str]:
    """Functions and classes of a file, methods as ``Class.method``."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            inner = getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []
            names |= {f"{node.name}.{n.name}" for n in inner if hasattr(n, "name")}
    return names


def test_every_step_of_the_architecture_is_in_the_file_it_names():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    steps = re.findall(r"^\| `([\w.]+)` \| `([\w/]+\.py)` \|", page, re.MULTILINE)
    assert len(steps) >= 15
    for name, file in steps:
        assert name in defined_names(ROOT / "mmgraph" / file), (name, file)


def test_the_changelog_begins_with_what_comes_and_with_this_version():
    page = (ROOT / "CHANGELOG.md").read_text("utf-8")
    coming, current, *older = re.findall(r"^## \[(.*)\](.*)$", page, re.MULTILINE)
    assert coming == ("Unreleased", "")
    assert current[0] == mmgraph.__version__
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {current[0]}\n" in citation
    assert f"\ndate-released: {current[1].removeprefix(' - ')}\n" in citation
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", d) for _, d in [current, *older])


def test_what_has_moved_is_where_the_changelog_says():
    page = (ROOT / "CHANGELOG.md").read_text("utf-8")
    rows = re.findall(r"^\| `mmgraph\..* \| (.*) \|$", page, re.MULTILINE)
    names = [n for row in rows for n in re.findall(r"`(mmgraph\.[\w.]*\w)", row)]
    assert len(names) >= 20
    for name in names:
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_within_the_project_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target
