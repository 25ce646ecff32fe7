"""SEA's Theorems 1 and 2 as numeric checks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import beta, kstest

from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import COLOURS, DASHES, panels, to_figure
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.functional.losses.mutual_information import club_bound
from mmgraph.functional.redundancy.random_angle import (
    random_angle_density,
    random_angle_variance,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 100_000
CORRELATIONS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
_SHOWN = (3, 16, 64)


def sea_theorems(context: ExperimentContext) -> ExperimentResult:
    r"""Random directions are nearly orthogonal; CLUB is above the information.

    Theorem 1: sampled angles against the density of Eq. 1, their variance against the
    exact :math:`\psi_1(n/2)/2` and against the paper's :math:`1/(n-2)` and
    :math:`1/n`. Theorem 2: for Gaussians of correlation :math:`r` and the true
    conditional, the bound is :math:`r^2/(1-r^2)` and the information
    :math:`-\ln(1-r^2)/2`.
    """
    generator = np.random.default_rng(context.seeds[0])
    angles = {n: _angles(n, generator) for n in map(int, context.grid["dim"])}
    first = [_theorem_1(n, theta) for n, theta in angles.items()]
    second = [_theorem_2(r, generator) for r in CORRELATIONS]
    notes = [
        "KS p: Kolmogorov-Smirnov test of the sampled cosines against the exact "
        "distribution; a true theorem gives p-values spread over 0 to 1.",
        "The exact variance is ψ₁(n/2)/2; 1/(n-1) is far closer to it than the paper's "
        "1/(n-2) and 1/n.",
    ]
    return ExperimentResult(
        {"samples": SAMPLES, "theorem_1": first, "theorem_2": second},
        tables=[_angle_table(first), _bound_table(second)],
        figures=[_figure(angles, second)],
        notes=notes,
    )


def _figure(
    angles: Mapping[int, np.ndarray], bounds: Sequence[Mapping[str, float]]
) -> Figure:
    drawing, (left, right) = panels(2, width=5.4)
    rows = _draw_angles(left, angles)
    _draw_bounds(right, bounds)
    return to_figure(
        drawing,
        "Left: sampled angles (steps) and their exact density (lines), SEA's Theorem "
        "1. Right: the CLUB bound with the true conditional and the mutual information "
        "of two Gaussians, Theorem 2.",
        "Densities of the angle, narrower around a right angle the higher the "
        "dimension; and the bound, above the mutual information for every correlation, "
        "the estimates on its curve.",
        Table(["n", "angle", "sampled density", "exact density"], rows),
    )


def _draw_angles(ax: Axes, angles: Mapping[int, np.ndarray]) -> list[list[Cell]]:
    """Draw some dimensions; return rows of dimension, angle and both densities."""
    edges = np.linspace(0, np.pi, 91)
    middles = (edges[1:] + edges[:-1]) / 2
    rows: list[list[Cell]] = []
    for n, dim in enumerate(_shown(list(angles))):
        colour, dash = COLOURS[n % len(COLOURS)], DASHES[n % len(DASHES)]
        heights, _ = np.histogram(angles[dim], bins=edges, density=True)
        ax.stairs(heights, edges, color=colour, fill=True, alpha=0.25)
        ax.plot(edges, _density(edges, dim), color=colour, ls=dash, label=f"n = {dim}")
        rows += [
            [dim, float(x), float(y), float(p)]
            for x, y, p in zip(middles, heights, _density(middles, dim), strict=True)
        ]
    ax.set_xticks([0, np.pi / 2, np.pi], ["0", "π/2", "π"])
    ax.set_xlabel("angle of two random directions (radians)")
    ax.set_ylabel("density")
    ax.legend(frameon=False, title="dimension")
    return rows


def _shown(dims: Sequence[int]) -> Sequence[int]:
    """The dimensions to draw, three at most."""
    if len(dims) <= len(_SHOWN):
        return dims
    usual = [dim for dim in dims if dim in _SHOWN]
    return usual or [dims[0], dims[len(dims) // 2], dims[-1]]


def _draw_bounds(ax: Axes, bounds: Sequence[Mapping[str, float]]) -> None:
    """Draw the bound and the information by correlation, and the estimates."""
    r = np.linspace(0, 0.95, 96)
    information = -0.5 * np.log1p(-(r**2))
    estimates = [point["bound_estimate"] for point in bounds]
    ax.plot(r, r**2 / (1 - r**2), color=COLOURS[1], label="bound, r²/(1−r²)")
    ax.plot(r, information, color=COLOURS[0], ls="--", label="information, −½ ln(1−r²)")
    ax.plot(CORRELATIONS, estimates, "o", color="black", label="bound, estimated")
    ax.set_ylim(0, 5)
    ax.set_xlabel("correlation r")
    ax.set_ylabel("information or its bound (nats)")
    ax.legend(frameon=False)


def _angle_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        ["n", "mean", "variance", "exact", "1/(n-1)", "1/(n-2)", "1/n", "KS p"],
        [
            [
                *(e["dim"], e["mean"], e["variance"], e["exact_variance"]),
                *(1 / (e["dim"] - 1), _inverse(e["dim"] - 2), 1 / e["dim"]),
                e["ks_p_value"],
            ]
            for e in entries
        ],
        f"Theorem 1: {SAMPLES:,} angles of two random directions in n dimensions",
    )


def _bound_table(entries: Sequence[Mapping[str, float]]) -> Table:
    keys = ("correlation", "bound_estimate", "standard_error", "bound", "information")
    return Table(
        ["r", "bound, estimated", "standard error", "bound, exact", "information"],
        [[entry[key] for key in keys] for entry in entries],
        f"Theorem 2: the CLUB bound of {SAMPLES:,} Gaussian pairs, in nats",
    )


def _density(theta: np.ndarray, dim: int) -> np.ndarray:
    return random_angle_density(torch.from_numpy(theta), dim).numpy()


def _angles(dim: int, generator: np.random.Generator) -> np.ndarray:
    """Angles of random directions with the first axis, which is any direction."""
    x = generator.standard_normal((SAMPLES, dim), dtype=np.float32)
    theta: np.ndarray = np.arccos(np.clip(x[:, 0] / np.linalg.norm(x, axis=1), -1, 1))
    return theta


def _theorem_1(dim: int, theta: np.ndarray) -> dict[str, Any]:
    half = (dim - 1) / 2
    exact = beta(half, half, loc=-1, scale=2)  # of the cosine
    return {
        "dim": dim,
        "mean": float(theta.mean(dtype=np.float64)),
        "variance": float(theta.var(dtype=np.float64, ddof=1)),
        "exact_variance": random_angle_variance(dim),
        "ks_p_value": float(kstest(np.cos(theta.astype(np.float64)), exact.cdf).pvalue),
    }


def _theorem_2(r: float, generator: np.random.Generator) -> dict[str, float]:
    x, noise = generator.standard_normal((2, SAMPLES))
    variance = 1 - r**2
    y = r * x + math.sqrt(variance) * noise
    column = [torch.from_numpy(v)[:, None] for v in (r * x, y)]
    log_var = torch.full_like(column[0], math.log(variance))
    return {
        "correlation": r,
        "bound_estimate": float(club_bound(column[0], log_var, column[1])),
        "standard_error": _standard_error(r * x, y, variance),
        "bound": r**2 / variance,
        "information": -0.5 * math.log1p(-(r**2)),
    }


def _standard_error(mean: np.ndarray, y: np.ndarray, variance: float) -> float:
    gain = mean * y / variance  # the squares of y cancel in the bound
    return float(gain.std(ddof=1) / math.sqrt(len(y)))


def _inverse(value: int) -> float | None:
    return 1 / value if value else None
