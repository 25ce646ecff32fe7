from __future__ import annotations

import torch

from mmgraph.analysis.report.plots import COLOURS, panels
from mmgraph.analysis.reproduce import embedding_plot as module
from mmgraph.analysis.reproduce.complete_items import complete_items
from mmgraph.analysis.reproduce.embedding_plot import (
    joint_tsne,
    marginals,
    sample_items,
    scatter,
)
from mmgraph.analysis.reproduce.separation import tsne


def test_the_sample_is_of_complete_items_and_the_same_for_one_seed(
    make_context, tmp_path
):
    complete = set(complete_items(make_context(tmp_path)).tolist())
    samples = [
        sample_items(
            make_context(tmp_path, grid={"items": [20]}, seeds=(seed,))
        ).tolist()
        for seed in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]
    assert len(set(samples[0])) == 20
    assert set(samples[0]) <= complete
    whole = sample_items(make_context(tmp_path, grid={"items": [1000]}))
    assert set(whole.tolist()) == complete


def test_all_sets_are_in_one_plot():
    sets = {"a": torch.randn(12, 3), "b": torch.randn(8, 3)}
    points = joint_tsne(sets, 0)
    together = tsne(torch.cat([sets["a"], sets["b"]]), 0)
    assert torch.equal(torch.cat([points["a"], points["b"]]), together)
    assert [len(xy) for xy in points.values()] == [12, 8]


def test_points_and_densities_are_drawn_per_set():
    points = {"a": torch.randn(30, 2), "b": torch.randn(30, 2) + 2}
    _, (ax,) = panels(1)
    scatter(ax, points)
    marginals(ax, points)
    drawn = [cloud.get_offsets().data for cloud in ax.collections]
    for xy, offsets in zip(points.values(), drawn, strict=True):
        torch.testing.assert_close(xy, torch.tensor(offsets, dtype=xy.dtype))
    assert [text for _, text in zip(*ax.get_legend_handles_labels(), strict=True)] == [
        *points
    ]
    top, right = ax.child_axes
    for side in (top, right):
        areas = []
        for patch in side.patches:
            values, edges, _ = patch.get_data()
            areas.append(float((values * (edges[1:] - edges[:-1])).sum()))
        torch.testing.assert_close(torch.tensor(areas), torch.ones(2))
        # Bins of one width: densities can be compared.
        one, other = (patch.get_data().edges.tolist() for patch in side.patches)
        assert one == other
    assert len(set(COLOURS)) == len(COLOURS)


def test_the_legend_hides_no_points(monkeypatch):
    drawings = []
    monkeypatch.setattr(module, "to_figure", lambda d, *_: drawings.append(d))
    points = {f"set {n}": torch.rand(30, 2) for n in range(6)}
    module.stages_figure({"before": points, "after": points}, "Caption.", "Alt.")
    (drawing,) = drawings
    drawing.draw_without_rendering()
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == [*points]
    for ax in drawing.axes:
        assert ax.get_legend() is None
        assert not ax.get_tightbbox().overlaps(legend.get_window_extent())
