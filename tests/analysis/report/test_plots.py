from __future__ import annotations

import importlib.util

import pytest

from mmgraph.analysis.report.plots import (
    COLOURS,
    log_scale,
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


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((0.25, 0.65), ["0.3", "0.4", "0.5", "0.6"]),
        ((0.015, 0.9), ["0.02", "0.05", "0.1", "0.2", "0.5"]),
        ((2e-5, 20), ["0.0001", "0.001", "0.01", "0.1", "1", "10"]),
    ],
)
def test_a_logarithmic_axis_has_numbers_that_can_be_read(ends, shown):
    drawing, (axes,) = panels(1)
    axes.plot([1, 2], ends)
    axes.set_ylim(*ends)
    log_scale(axes, "y")
    drawing.draw_without_rendering()
    low, high = ends
    texts = [
        label.get_text()
        for label, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if low <= place <= high
    ]
    assert texts == shown
    assert axes.get_yscale() == "log"


def test_a_figure_carries_its_data():
    drawing, _ = panels(1)
    figure = to_figure(drawing, "caption", "alt", Table(["a"], [[1]]))
    assert (figure.mime, figure.alt, figure.caption) == (
        "image/svg+xml",
        "alt",
        "caption",
    )
    assert figure.data.rows == [[1]]
