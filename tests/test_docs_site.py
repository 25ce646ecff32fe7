from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def hook(name, function):
    return runpy.run_path(str(ROOT / ".ci" / name))[function]


def test_every_page_of_the_navigation_is_there():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = re.findall(r"^ +- ([\w/.-]+\.md)$", text, flags=re.MULTILINE)
    assert len(pages) == len(set(pages)) > 20
    assert [page for page in pages if not (DOCS / page).exists()] == []


def test_every_room_of_the_api_has_its_page():
    rooms = {path.stem for path in (DOCS / "api").glob("*.md")} - {"index"}
    for room in rooms:
        assert (ROOT / "mmgraph" / room / "__init__.py").exists()
        assert f"::: mmgraph.{room}\n" in (DOCS / "api" / f"{room}.md").read_text()
        assert f"({room}.md)" in (DOCS / "api" / "index.md").read_text()


def test_links_that_leave_the_site_become_words():
    without_links = hook("repository_links.py", "without_links")
    page = DOCS / "api" / "x.md"
    text = "[a](../concepts.md#b), [c d](../../README.md#e), [f](g.md), [h](https://i)"
    assert without_links(text, page) == (
        "[a](../concepts.md#b), c d (`README.md`), [f](g.md), [h](https://i)"
    )
    with pytest.raises(FileNotFoundError, match="behind the words 'x'"):
        without_links("[x](../nowhere.md)", DOCS / "y.md")


def test_every_link_that_leaves_the_site_leads_to_a_file():
    without_links = hook("repository_links.py", "without_links")
    for page in DOCS.rglob("*.md"):
        without_links(page.read_text("utf-8"), page)


@pytest.fixture
def as_markdown():
    pytest.importorskip("griffe", reason="comes with the extra docs")
    pytest.importorskip("latex2mathml", reason="comes with the extra docs")
    return hook("docstrings.py", "as_markdown")


def test_docstrings_become_markdown(as_markdown):
    text = "A :class:`~a.B` of\n:math:`x^2`:\n\nExample:\n    >>> 1\n"
    link = '`"On\n  x" <https://a.b/c>`_ (d)'
    assert as_markdown(link) == '["On\n  x"](https://a.b/c) (d)'
    x = "<msup><mi>x</mi><mn>2</mn></msup>"
    assert as_markdown(text) == (
        f"A `a.B` of\n<span>{equation('inline', x)}</span>:\n\nExamples:\n    >>> 1\n"
    )


@pytest.mark.parametrize("space", ["\n\n  ", "\n  ", " "])
def test_an_equation_of_its_own_is_a_block(as_markdown, space):
    text = f"A\n\n.. math::{space}x\n\nwith\n"
    assert as_markdown(text) == (
        f'A\n\n<div style="overflow-x: auto">'
        f"{equation('block', '<mi>x</mi>')}</div>\n\nwith\n"
    )


def equation(display, content):
    name = "http://www.w3.org/1998/Math/MathML"
    return f'<math xmlns="{name}" display="{display}"><mrow>{content}</mrow></math>'


def test_every_equation_of_the_package_is_understood(as_markdown):
    equations = 0
    for path in (ROOT / "mmgraph").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                made = as_markdown(ast.get_docstring(node) or "")
                assert "math:" not in made.replace("http", "")
                assert "\\" not in "".join(re.findall("<math.*?</math>", made))
                equations += made.count("<math")
    assert equations > 500
