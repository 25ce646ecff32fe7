from __future__ import annotations

import json

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.table import Table
from mmgraph.analysis.reproduce.result import (
    ExperimentResult,
    plain,
    read_section,
    write_result,
)

TABLE = Table(["a|b", "n"], [["x", 1 / 3], [None, 2]], "A caption")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def result():
    with_data = Figure(SVG, "image/svg+xml", "alt", "caption", Table(["a"], [[1]]))
    bare = Figure(b"\x89PNG", "image/png", "alt 2", "caption 2")
    return ExperimentResult(
        {"k": [1, 2]}, ["text"], [TABLE], [with_data, bare], ["a note"]
    )


def test_files_are_named_and_hold_what_they_say(tmp_path):
    names = write_result(tmp_path, "Heading", result())
    assert names == ["figure.svg", "figure-2.png", "table.md", "numbers.json"]
    assert (tmp_path / "figure.svg").read_bytes() == SVG
    assert (tmp_path / "figure-2.png").read_bytes() == b"\x89PNG"
    assert json.loads((tmp_path / "numbers.json").read_text()) == {"k": [1, 2]}
    text = (tmp_path / "table.md").read_text()
    assert text == f"# Heading\n\n{TABLE.to_markdown()}\n- a note\n"


def test_the_section_comes_back_as_it_was(tmp_path):
    given = result()
    write_result(tmp_path, "Heading", given)
    section = read_section(tmp_path)
    assert section.heading == "Heading"
    assert section.paragraphs == given.paragraphs
    assert section.tables == given.tables
    assert section.figures == given.figures
    assert section.notes == given.notes


def test_json_holds_finite_numbers_alone():
    value = {"a": [1, 0.5, float("nan"), ("x", None, True)], "b": {"c": -float("inf")}}
    assert plain(value) == {"a": [1, 0.5, None, ["x", None, True]], "b": {"c": None}}
