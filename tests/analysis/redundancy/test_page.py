from __future__ import annotations

import base64
import csv
import io
import re
import sys
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

from mmgraph.analysis import diagnose
from mmgraph.analysis.redundancy import page as redundancy_page
from mmgraph.analysis.redundancy.page import diagnosis_page, write_diagnosis
from mmgraph.data import catalogue_features, plant_catalogue
from mmgraph.data.feature_rows import FeatureRows
from mmgraph.files import read_json

HINT = "The figures need matplotlib: pip install 'mmgraph[plots]'"


def planted(**widths):
    data, _ = plant_catalogue(
        num_users=5, num_items=150, shared_rank=3, modalities=widths
    )
    return diagnose(catalogue_features(data))


@pytest.fixture(scope="module")
def diagnosis():
    return planted(visual=30, textual=24)


@pytest.fixture
def with_plots():
    pytest.importorskip("matplotlib", reason="figures need the extra 'plots'")


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def captions(text):
    return re.findall(r"<caption>(.*?)</caption>", text)


def test_a_page_says_what_the_diagnosis_says(diagnosis, with_plots):
    text = unescape(diagnosis_page(diagnosis, "a & b"))
    (pair,) = diagnosis.pairs
    assert "<h1>Redundancy: a & b</h1>" in text
    assert headings(text) == ["Modalities", "visual and textual"]
    assert f"rank 3, strength {pair.suggested_strength:.2f}. {pair.reason}" in text
    assert f"{pair.rows} items have both." in text
    assert f"those of {pair.rows} of them, exact among all" in text
    assert pair.notes
    for note in (*diagnosis.notes, *pair.notes):
        assert f"<li>{note}</li>" in text
    assert HINT not in text


def test_figures_carry_their_numbers(diagnosis, with_plots):
    text = diagnosis_page(diagnosis, "shop")
    images = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert len(images) == 4
    for image in images:
        assert ElementTree.fromstring(base64.b64decode(image)).tag.endswith("svg")
    spectrum, overlap, densities, costs = (
        list(csv.reader(io.StringIO(base64.b64decode(data).decode())))
        for data in re.findall(r"data:text/csv;charset=utf-8;base64,([^\"]+)", text)
    )
    (pair,) = diagnosis.pairs
    assert [float(row[1]) for row in spectrum[1:]] == pair.singular_values
    shared = [o.value for o in pair.neighbour_overlap.values()]
    assert [float(row[1]) for row in overlap[1:]] == shared
    density = pair.similarities.density["visual"]
    assert [float(row[2]) for row in densities[1:]] == density
    assert [int(row[0]) for row in costs[1:]] == [cost.rank for cost in pair.costs]


def test_the_same_diagnosis_is_the_same_text(diagnosis):
    assert diagnosis_page(diagnosis, "shop") == diagnosis_page(diagnosis, "shop")


def test_without_matplotlib_the_tables_stay_and_one_sentence_helps(
    diagnosis, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = unescape(diagnosis_page(diagnosis, "shop"))
    assert text.count(HINT) == 1
    assert "<img" not in text
    assert captions(text) == [
        "Counts of each modality",
        "In one number each",
        "Neighbours in common",
        "What the projection takes, in fractions of 1",
        "The spectrum, direction by direction",
    ]
    assert text.rpartition("<tbody>")[2].count("<tr>") == 20  # of 24 directions


def test_every_pair_has_a_section(with_plots):
    text = diagnosis_page(planted(a=7, b=8, c=9), "shop")
    assert headings(text) == ["Modalities", "a and b", "a and c", "b and c"]
    assert text.count("<img") == 12


def test_without_a_rank_there_is_no_cost_to_show(with_plots):
    rng = np.random.default_rng(0)
    a, b = (FeatureRows(rng.random((60, d), np.float32)) for d in (3, 2))
    text = diagnosis_page(diagnose({"a": a, "b": b}, num_centres=20), "shop")
    assert text.count("<img") == 3
    assert "What the projection takes" not in text
    assert "Suggested for CLEAR: rank 0, strength 0.00. No shared direction" in text
    assert "those of 20 of them" in text


def test_one_modality_has_a_page_without_pairs():
    text = diagnosis_page(diagnose({"visual": FeatureRows(np.eye(3, 4))}), "shop")
    assert headings(text) == ["Modalities"]
    assert "<li>There is one modality: no pair to compare.</li>" in text


def test_a_diagnosis_is_written_as_json_and_as_a_page(diagnosis, tmp_path, monkeypatch):
    folder = tmp_path / "new"
    monkeypatch.setattr(redundancy_page, "provenance", lambda command: {"By": command})
    result = write_diagnosis(folder, diagnosis, "shop", command="me", seconds=0.5)
    assert read_json(folder / "diagnosis.json") == result
    assert result == {"data": "shop", "seconds": 0.5, **diagnosis.to_dict()}
    page = (folder / "report.html").read_text("utf-8")
    assert page == diagnosis_page(diagnosis, "shop", {"By": "me"})
    assert len(list(folder.iterdir())) == 2
