"""Figures of a diagnosis with their data, drawn with matplotlib (extra ``plots``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.redundancy.tables import (
    cost_table,
    density_table,
    direction_table,
    neighbour_table,
    probe_table,
)
from mmgraph.analysis.report.page import Figure
from mmgraph.analysis.report.plots import log_scale, panels, to_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pair_figures(pair: PairDiagnosis) -> list[Figure]:
    """All figures of a pair: spectrum, neighbours, similarities, cost.

    Args:
        pair: The diagnosis of two modalities.

    Raises:
        UserError: If matplotlib is not installed.

    Example:
        >>> import numpy as np
        >>> from mmgraph.analysis.redundancy.pair_diagnosis import diagnose_pair
        >>> from mmgraph.data import FeatureRows
        >>> x = FeatureRows(np.random.default_rng(0).random((50, 3), np.float32))
        >>> pair = diagnose_pair(("a", "b"), x, x, np.ones(50, bool))
        >>> print(pair_figures(pair)[1].alt)
        Line chart over the number of neighbours K: a and b have 100.0 % of their 10 \
nearest items in common, random neighbours 20.4 %.
    """
    parts = [spectrum_figure, neighbour_figure, similarity_figure]
    if pair.costs:
        parts.append(cost_figure)
    return [part(pair) for part in parts]


def spectrum_figure(pair: PairDiagnosis) -> Figure:
    """Singular values before and after the suggested projection (Fig. 5 of CLEAR)."""
    rank, before = pair.suggested_rank, pair.singular_values
    drawing, (axes,) = panels(1, width=6.4)
    draw_spectrum(axes, pair)
    head = pair.head_energy.get(str(max(rank, 1)), 1.0)
    return to_figure(
        drawing,
        f"Singular values of the cross-covariance of {' and '.join(pair.modalities)}, "
        f"and after a projection of rank {rank} and strength "
        f"{pair.suggested_strength:.2f}. The dotted line is the largest value that "
        "chance explains after the rank.",
        f"Line chart on a log scale, {len(before)} singular values from "
        f"{before[0]:.3g} down to {before[-1]:.3g}; the first {max(rank, 1)} hold "
        f"{100 * head:.1f} % of the energy.",
        direction_table(pair),
    )


def draw_spectrum(axes: Axes, pair: PairDiagnosis) -> None:
    """Draw the singular values, those after the projection, the rank, and chance."""
    rank, before = pair.suggested_rank, pair.singular_values
    floor = (before[0] or 1.0) * 1e-6  # rounding would stretch a log axis for ever
    x = range(1, len(before) + 1)
    axes.plot(x, [max(s, floor) for s in before], "o-", ms=3, label="as it is")
    if rank:
        after = sorted(pair.projected_singular_values, reverse=True)
        after = [max(s, floor) for s in after]
        axes.plot(x, after, "s--", ms=3, label="after the projection")
        axes.axvline(rank + 0.5, color="gray", lw=1, label=f"rank {rank}")
    if pair.chance_level > floor:
        axes.axhline(pair.chance_level, color="gray", ls=":", label="chance")
    axes.set(xlabel="direction", ylabel="singular value")
    log_scale(axes, "y")
    axes.legend()


def neighbour_figure(pair: PairDiagnosis) -> Figure:
    """Overlap of the nearest neighbours against chance (Fig. 1, right, of CLEAR)."""
    drawing, (axes,) = panels(1, width=6.4)
    draw_overlaps(axes, pair)
    overlaps, names = pair.neighbour_overlap, " and ".join(pair.modalities)
    k = "10" if "10" in overlaps else next(iter(overlaps))
    return to_figure(
        drawing,
        f"Fraction of the K nearest items that {names} have in common, and that of "
        "random neighbours; bands are 95 % intervals.",
        f"Line chart over the number of neighbours K: {names} have "
        f"{100 * overlaps[k].value:.1f} % of their {k} nearest items in common, random "
        f"neighbours {100 * overlaps[k].expected:.1f} %.",
        neighbour_table(pair),
    )


def draw_overlaps(axes: Axes, pair: PairDiagnosis) -> None:
    """Draw the measured and the expected overlap by K, each with its interval."""
    ks = [int(k) for k in pair.neighbour_overlap]
    overlaps = pair.neighbour_overlap.values()
    low, high = [o.low for o in overlaps], [o.high for o in overlaps]
    axes.plot(ks, [o.value for o in overlaps], "o-", label="measured")
    axes.fill_between(ks, low, high, alpha=0.25)
    expected = [o.expected for o in overlaps]
    low = [o.expected_low for o in overlaps]
    high = [o.expected_high for o in overlaps]
    axes.plot(ks, expected, "s--", color="gray", label="random neighbours")
    axes.fill_between(ks, low, high, color="gray", alpha=0.25)
    axes.set(xlabel="neighbours K", ylabel="neighbours in common")
    axes.set_ylim(bottom=0)
    axes.legend()


def similarity_figure(pair: PairDiagnosis) -> Figure:
    """Densities of the similarities of retrieved items (Fig. 1, left, of CLEAR)."""
    drawing, (axes,) = panels(1, width=6.4)
    draw_similarities(axes, pair)
    area = f"{100 * pair.similarities.overlap:.0f} %"
    return to_figure(
        drawing,
        f"Cosines of the ten nearest items in {' and '.join(pair.modalities)}. The "
        f"densities have {area} of their area in common, which says that the scores "
        "are alike, not the items.",
        f"Two histograms of cosines; common area {area}.",
        density_table(pair),
    )


def draw_similarities(axes: Axes, pair: PairDiagnosis) -> None:
    """Draw the density of each modality."""
    edges = pair.similarities.edges
    for name, density in pair.similarities.density.items():
        axes.stairs(density, edges, fill=True, alpha=0.4, label=name)
    axes.set(xlabel="cosine of an item and its neighbours", ylabel="density")
    axes.legend()


def cost_figure(pair: PairDiagnosis) -> Figure:
    """Cost of projections of half, once and twice the suggested rank, 1 or more."""
    drawing, (axes,) = panels(1, width=6.4)
    draw_costs(axes, pair)
    at_rank = next(c for c in pair.costs if c.rank == pair.suggested_rank)
    parts = [
        f"{100 * at_rank.energy_removed[name]:.0f} % of the variance of {name} and "
        f"{100 * at_rank.neighbours_changed[name]:.0f} % of its ten nearest items"
        for name in pair.modalities
    ]
    return to_figure(
        drawing,
        "What the projection takes at half the suggested rank, at it, and at twice, "
        f"with strength {at_rank.strength:.2f}.",
        f"Line chart: rank {at_rank.rank} removes or changes {', '.join(parts)}.",
        cost_table(pair),
    )


def draw_costs(axes: Axes, pair: PairDiagnosis) -> None:
    """Draw the variance removed and the neighbours changed by rank and modality."""
    x = range(len(pair.costs))
    for name in pair.modalities:
        removed = [cost.energy_removed[name] for cost in pair.costs]
        changed = [cost.neighbours_changed[name] for cost in pair.costs]
        (line,) = axes.plot(x, removed, "o-", label=f"{name}: variance removed")
        color = line.get_color()
        axes.plot(x, changed, "s--", color=color, label=f"{name}: neighbours changed")
    axes.set(xlabel="rank", ylabel="fraction", ylim=(0, 1))
    axes.set_xticks(x, [str(cost.rank) for cost in pair.costs])
    axes.legend()


def probe_figure(probe: Probe) -> Figure:
    """Change of recall on validation by place, rank and strength.

    Args:
        probe: The probe of a catalogue.

    Raises:
        UserError: If matplotlib is not installed.
    """
    strengths = sorted({p.strength for place in probe.places for p in place.points[1:]})
    drawing, axes = panels(len(strengths), width=5.2)
    for ax, strength in zip(axes, strengths, strict=True):
        draw_probe(ax, probe, strength)
    axes[0].legend(fontsize="x-small")
    return to_figure(
        drawing,
        f"Change of {probe.metric} on validation when shared directions are projected "
        f"out, of the {probe.k} nearest items by content; lines one standard error "
        f"over {probe.num_users} users either way.",
        f"Line charts over the rank. {probe.suggestion}",
        probe_table(probe),
    )


def draw_probe(axes: Axes, probe: Probe, strength: float) -> None:
    """Draw the change in every place by rank, at one strength."""
    for place in probe.places:
        points = [p for p in place.points if not p.rank or p.strength == strength]
        errors = [point.error if point.rank else 0.0 for point in points]
        axes.errorbar(
            [point.rank for point in points],
            [point.difference for point in points],
            yerr=errors,
            marker="o",
            ms=3,
            capsize=2,
            label=place.name,
        )
    axes.axhline(0, color="gray", lw=1)
    axes.set(xlabel="rank", ylabel=f"change of {probe.metric}")
    axes.set_title(f"strength {strength:g}")
