from __future__ import annotations

import importlib.util

import pytest

from mmgraph.analysis.report.plots import (
    COLOURS,
    panels,
    require_plots,
    to_figure,
    to_svg,
)
from mmgraph.analysis.report.table import Table
from mmgraph.errors import UserError


def test_a_missing_extra_is_one_clear_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "sklearn" else find(name),
    )
    with pytest.raises(UserError) as caught:
        require_plots()
    assert str(caught.value) == (
        "the figures need scikit-learn, which is not installed - "
        "pip install 'mmgraph[plots]'"
    )


def test_the_same_drawing_is_the_same_file():
    files = []
    for _ in range(2):
        drawing, (ax, _) = panels(2)
        ax.plot([1, 2], [3, 4], color=COLOURS[0], label="a")
        ax.legend()
        files.append(to_svg(drawing))
    assert files[0] == files[1]
    assert files[0].startswith(b"<?xml")
    assert b"<dc:date>" not in files[0]


def test_panels_are_laid_out_three_in_a_row():
    drawing, axes = panels(5)
    assert len(axes) == 5
    assert len(drawing.axes) == 5  # the sixth place is empty
    assert tuple(drawing.get_size_inches()) == (4.6 * 3, 3.6 * 2)


def test_a_figure_carries_its_data():
    drawing, _ = panels(1)
    figure = to_figure(drawing, "caption", "alt", Table(["a"], [[1]]))
    assert (figure.mime, figure.alt, figure.caption) == (
        "image/svg+xml",
        "alt",
        "caption",
    )
    assert figure.data.rows == [[1]]
