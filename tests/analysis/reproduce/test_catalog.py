from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmgraph.analysis.reproduce.catalog import EXPERIMENTS, select, systems_of
from mmgraph.bench.config import canonical
from mmgraph.errors import UserError

TABLES = [
    *("clear-table1", "clear-table2", "clear-table3", "clear-table4"),
    "clear-theorems",
    *("sea-table1", "sea-table2", "sea-table3", "sea-table4", "sea-table5"),
]
FIGURES = [
    *("clear-figure1", "clear-figure3", "clear-figure4", "clear-figure5"),
    *("clear-figure6", "sea-figure3", "sea-figure4", "sea-figure5", "sea-figure6"),
    *("sea-convergence", "sea-theorems"),
]


def test_every_table_and_figure_is_there():
    assert sorted(EXPERIMENTS) == sorted([*TABLES, *FIGURES, "control"])
    assert [name for name in EXPERIMENTS if EXPERIMENTS[name].plots] == FIGURES


def test_the_systems_exist_in_every_spelling_used():
    specs = systems_of(EXPERIMENTS)
    assert len(specs) > 20
    for spec in specs:
        assert str(canonical(spec)) == str(spec)


def test_all_is_all_and_a_misspelt_name_has_a_hint():
    assert select(["all"]) == EXPERIMENTS
    with pytest.raises(UserError, match=r"unknown experiment 'clear-tabel2' - did you"):
        select(["clear-tabel2"])


def test_the_page_of_claims_names_every_experiment():
    page = Path(__file__).parents[3] / "docs" / "papers.md"
    named = set(re.findall(r"(?:clear|sea)-\w+|control", page.read_text("utf-8")))
    assert set(EXPERIMENTS) <= named
