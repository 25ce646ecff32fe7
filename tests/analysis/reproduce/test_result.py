from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.table import Table
from mmgraph.analysis.reproduce.result import (
    ExperimentResult,
    plain,
    read_section,
    write_result,
)
from mmgraph.errors import UserError
from mmgraph.files import read_json, write_json

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
    assert read_json(tmp_path / "numbers.json") == {"k": [1, 2]}
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


def test_of_twenty_flipped_bits_of_a_section_each_is_refused(tmp_path):
    write_result(tmp_path, "Heading", result())
    path = tmp_path / "section.json"
    whole = path.read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 20).tolist():
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"section\.json: (damaged|not JSON)"):
            read_section(tmp_path)


WHOLE = {"heading": "H", "paragraphs": [], "tables": [], "figures": [], "notes": []}
TABLE_OF = {"columns": ["a"], "rows": [["x"]], "caption": ""}
FIGURE = {"image": "", "mime": "image/png", "alt": "a", "caption": "", "data": None}


@pytest.mark.parametrize(
    "wrong",
    [
        *({key: wrong} for key in WHOLE for wrong in (None, 5, [5], {"a": 1})),
        *({"tables": [TABLE_OF | {key: 5}]} for key in TABLE_OF),
        {"tables": [TABLE_OF | {"rows": [[{}]]}]},
        {"tables": [TABLE_OF | {"rows": [["a", "b"]]}]},
        *({"figures": [FIGURE | {key: 5}]} for key in FIGURE),
        {"figures": [FIGURE | {"image": "no base 64"}]},
        {"figures": [FIGURE | {"mime": "text/html"}]},
        {"figures": [FIGURE | {"more": 1}]},
    ],
)
def test_a_broken_section_is_one_line(tmp_path, wrong):
    write_json(tmp_path / "section.json", WHOLE | wrong)
    message = r"section\.json: no section of a report - delete section\.json and rep"
    with pytest.raises(UserError, match=message):
        read_section(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_torn_section_is_one_line(tmp_path, content):
    (tmp_path / "section.json").write_bytes(content)
    message = r"section\.json: not .* - delete section\.json"
    with pytest.raises(UserError, match=message):
        read_section(tmp_path)


def test_json_holds_finite_numbers_alone():
    value = {"a": [1, 0.5, float("nan"), ("x", None, True)], "b": {"c": -float("inf")}}
    assert plain(value) == {"a": [1, 0.5, None, ["x", None, True]], "b": {"c": None}}
