"""Sets of points in one t-SNE plot: their items, their positions, their drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import COLOURS, MARKERS, panels, to_figure
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.complete_items import complete_items
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.separation import tsne

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 50


def sample_items(context: ExperimentContext) -> Tensor:
    """Rows of items that have every modality, at most as many as the grid says."""
    rows = complete_items(context)
    most = int(context.grid["items"][0])
    generator = torch.Generator().manual_seed(context.seeds[0])
    kept = torch.randperm(len(rows), generator=generator)[:most]
    return rows[kept.sort().values]


def joint_tsne(sets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Points ``[N, 2]`` of each set by one t-SNE over all of them."""
    sizes = [len(x) for x in sets.values()]
    points = tsne(torch.cat(list(sets.values())), seed).split(sizes)
    return dict(zip(sets, points, strict=True))


def scatter(ax: Axes, points: Mapping[str, Tensor], size: float = 6) -> None:
    """Draw each set in a colour and with a marker of its own."""
    for n, (name, xy) in enumerate(points.items()):
        ax.scatter(
            xy[:, 0].numpy(),
            xy[:, 1].numpy(),
            s=size,
            color=COLOURS[n % len(COLOURS)],
            marker=MARKERS[n % len(MARKERS)],
            alpha=0.6,
            linewidths=0,
            rasterized=True,
            label=name,
        )
    ax.set_xlabel("t-SNE 1 (no unit)")
    ax.set_ylabel("t-SNE 2 (no unit)")
    ax.set_xticks([])
    ax.set_yticks([])


def marginals(ax: Axes, points: Mapping[str, Tensor]) -> None:
    """Draw the densities of each set along the axes, on top and at the right."""
    top = ax.inset_axes((0, 1.02, 1, 0.18), sharex=ax)
    right = ax.inset_axes((1.02, 0, 0.18, 1), sharey=ax)
    for side in (top, right):
        side.axis("off")
    every = torch.cat(list(points.values())).numpy()
    edges = [np.histogram_bin_edges(every[:, axis], _BINS) for axis in (0, 1)]
    for n, xy in enumerate(points.values()):
        style: dict[str, Any] = {
            "color": COLOURS[n % len(COLOURS)],
            "fill": True,
            "alpha": 0.4,
        }
        across, up = (
            np.histogram(xy[:, axis].numpy(), bins=edges[axis], density=True)[0]
            for axis in (0, 1)
        )
        top.stairs(across, edges[0], **style)
        right.stairs(up, edges[1], orientation="horizontal", **style)


def stages_figure(
    stages: Mapping[str, Mapping[str, Tensor]],
    caption: str,
    alt: str,
    *,
    size: float = 6,
    densities: bool = False,
) -> Figure:
    """A scatter plot per stage, with all points as its data.

    Args:
        stages: Points ``[N, 2]`` by stage and set.
        caption: Of the figure.
        alt: Text in place of the image.
        size: Of a point.
        densities: Draw the densities along the axes, too.
    """
    drawing, axes = panels(len(stages), width=5.6, height=5.0)
    for ax, (stage, points) in zip(axes, stages.items(), strict=True):
        scatter(ax, points, size)
        if densities:
            marginals(ax, points)
        ax.set_title(stage, pad=58 if densities else None)
    # Beside the plots: within one it would hide points.
    drawing.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        markerscale=2,
        frameon=False,
    )
    rows: list[list[Cell]] = [
        [stage, name, *(round(value, 4) for value in point)]
        for stage, points in stages.items()
        for name, xy in points.items()
        for point in xy.tolist()
    ]
    data = Table(["stage", "set", "x", "y"], rows)
    return to_figure(drawing, caption, alt, data)
