from __future__ import annotations

import torch

from mmgraph.analysis.report.plots import COLOURS, panels
from mmgraph.analysis.reproduce.embedding_plot import (
    joint_plane,
    marginals,
    sample_items,
    scatter,
)
from mmgraph.analysis.reproduce.experiments.redundancy import complete_items
from mmgraph.analysis.reproduce.separation import tsne


def test_the_sample_is_of_complete_items_and_the_same_for_one_seed(make_lab, tmp_path):
    complete = set(complete_items(make_lab(tmp_path)).tolist())
    samples = [
        sample_items(make_lab(tmp_path, grid={"items": [20]}, seeds=(seed,))).tolist()
        for seed in (1, 1, 2)
    ]
    assert samples[0] == samples[1] != samples[2]
    assert len(set(samples[0])) == 20
    assert set(samples[0]) <= complete
    whole = sample_items(make_lab(tmp_path, grid={"items": [1000]}))
    assert set(whole.tolist()) == complete


def test_all_sets_share_one_plane():
    sets = {"a": torch.randn(12, 3), "b": torch.randn(8, 3)}
    plane = joint_plane(sets, 0)
    together = tsne(torch.cat([sets["a"], sets["b"]]), 0)
    assert torch.equal(torch.cat([plane["a"], plane["b"]]), together)
    assert [len(points) for points in plane.values()] == [12, 8]


def test_points_and_densities_are_drawn_per_set():
    plane = {"a": torch.randn(30, 2), "b": torch.randn(30, 2) + 2}
    _, (ax,) = panels(1)
    scatter(ax, plane)
    marginals(ax, plane)
    drawn = [cloud.get_offsets().data for cloud in ax.collections]
    for points, found in zip(plane.values(), drawn, strict=True):
        torch.testing.assert_close(points, torch.tensor(found, dtype=points.dtype))
    assert [text for _, text in zip(*ax.get_legend_handles_labels(), strict=True)] == [
        *plane
    ]
    top, right = ax.child_axes
    for side in (top, right):
        areas = []
        for patch in side.patches:
            values, edges, _ = patch.get_data()
            areas.append(float((values * (edges[1:] - edges[:-1])).sum()))
        torch.testing.assert_close(torch.tensor(areas), torch.ones(2))
    assert len(set(COLOURS)) == len(COLOURS)
