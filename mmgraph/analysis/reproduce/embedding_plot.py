"""Sets of points in one plane: which items, where they lie, how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmgraph.analysis.report.page import Cell
from mmgraph.analysis.report.plots import COLOURS, MARKERS
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.experiments.redundancy import complete_items
from mmgraph.analysis.reproduce.separation import tsne

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 50


def sample_items(lab: Lab) -> Tensor:
    """Rows of items that have every modality, at most as many as the grid says."""
    rows = complete_items(lab)
    most = int(lab.grid["items"][0])
    generator = torch.Generator().manual_seed(lab.seeds[0])
    kept = torch.randperm(len(rows), generator=generator)[:most]
    return rows[kept.sort().values]


def joint_plane(sets: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Places ``[N, 2]`` of each set by one t-SNE over all of them."""
    sizes = [len(table) for table in sets.values()]
    places = tsne(torch.cat(list(sets.values())), seed).split(sizes)
    return dict(zip(sets, places, strict=True))


def scatter(ax: Axes, plane: Mapping[str, Tensor], size: float = 6) -> None:
    """Draw each set in a colour and with a marker of its own."""
    for n, (name, points) in enumerate(plane.items()):
        ax.scatter(
            points[:, 0].numpy(),
            points[:, 1].numpy(),
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


def marginals(ax: Axes, plane: Mapping[str, Tensor]) -> None:
    """Draw the densities of each set along the axes, on top and at the right."""
    top = ax.inset_axes((0, 1.02, 1, 0.18), sharex=ax)
    right = ax.inset_axes((1.02, 0, 0.18, 1), sharey=ax)
    for side in (top, right):
        side.axis("off")
    for n, points in enumerate(plane.values()):
        colour = COLOURS[n % len(COLOURS)]
        high, at = np.histogram(points[:, 0].numpy(), bins=_BINS, density=True)
        top.stairs(high, at, color=colour, fill=True, alpha=0.4)
        high, at = np.histogram(points[:, 1].numpy(), bins=_BINS, density=True)
        right.stairs(
            high, at, orientation="horizontal", color=colour, fill=True, alpha=0.4
        )


def point_rows(planes: Mapping[str, Mapping[str, Tensor]]) -> list[list[Cell]]:
    """Rows of stage, set and place, for the data of a figure.

    Example:
        >>> point_rows({"before": {"visual": torch.tensor([[1.0, 2.0]])}})
        [['before', 'visual', 1.0, 2.0]]
    """
    return [
        [stage, name, *(round(value, 4) for value in point)]
        for stage, plane in planes.items()
        for name, points in plane.items()
        for point in points.tolist()
    ]
