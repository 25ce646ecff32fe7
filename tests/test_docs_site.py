from __future__ import annotations

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


def test_docstrings_become_markdown():
    pytest.importorskip("griffe", reason="comes with the extra docs")
    text = (
        "A :class:`~a.B` of :math:`x^2`:\n\n.. math::\n    y\n\nExample:\n    >>> 1\n"
    )
    assert hook("docstrings.py", "as_markdown")(text) == (
        "A `a.B` of `x^2`:\n\n    y\n\nExamples:\n    >>> 1\n"
    )
