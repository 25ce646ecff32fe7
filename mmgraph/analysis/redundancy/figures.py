"""Figures of a diagnosis, drawn with matplotlib (extra ``plots``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.report.plots import panels
from mmgraph.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """A figure, the sentence below it, and what it shows for those who cannot see it.

    Attributes:
        figure: matplotlib's.
        caption: One or two sentences.
        alt: Text in place of the image.
    """

    figure: Figure
    caption: str
    alt: str


def pair_figures(pair: PairDiagnosis) -> list[Drawing]:
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
        Line chart over the list length K: a and b share 100.0 % of their 10 nearest \
items, random lists 20.4 %.
    """
    drawings = [
        spectrum_figure(pair),
        neighbour_figure(pair),
        similarity_figure(pair),
    ]
    return [*drawings, cost_figure(pair)] if pair.costs else drawings


def spectrum_figure(pair: PairDiagnosis) -> Drawing:
    """Singular values before and after the suggested projection (Fig. 5 of CLEAR).

    Args:
        pair: The diagnosis of two modalities.

    Raises:
        UserError: If matplotlib is not installed.
    """
    names, rank = " and ".join(pair.modalities), pair.suggested_rank
    figure, axes = _axes("direction", "singular value")
    before = pair.singular_values
    floor = (before[0] or 1.0) * 1e-6  # rounding would stretch a log axis for ever
    damping = (1 - pair.suggested_strength) ** 2
    after = [s * damping if i < rank else s for i, s in enumerate(before)]
    x = range(1, len(before) + 1)
    axes.plot(x, [max(s, floor) for s in before], "o-", ms=3, label="as it is")
    if rank:
        after = [max(s, floor) for s in sorted(after, reverse=True)]
        axes.plot(x, after, "s--", ms=3, label="after the projection")
        axes.axvline(rank + 0.5, color="gray", lw=1, label=f"rank {rank}")
    if pair.chance_level > floor:
        axes.axhline(pair.chance_level, color="gray", ls=":", label="chance")
    axes.set_yscale("log")
    axes.legend()
    head = pair.head_energy.get(str(max(rank, 1)), 1.0)
    return Drawing(
        figure,
        f"Singular values of the cross-covariance of {names}, and after a projection "
        f"of rank {rank} and strength {pair.suggested_strength:.2f}. The dotted line "
        "is the largest value that chance explains after the rank.",
        f"Line chart on a log scale, {len(before)} singular values from "
        f"{before[0]:.3g} down to {before[-1]:.3g}; the first {max(rank, 1)} hold "
        f"{100 * head:.1f} % of the energy.",
    )


def neighbour_figure(pair: PairDiagnosis) -> Drawing:
    """Overlap of the neighbour lists against chance (Fig. 1, right, of CLEAR).

    Args:
        pair: The diagnosis of two modalities.

    Raises:
        UserError: If matplotlib is not installed.
    """
    names = " and ".join(pair.modalities)
    figure, axes = _axes("list length K", "neighbours in common")
    overlaps = pair.neighbour_overlap
    ks, found = [int(k) for k in overlaps], list(overlaps.values())
    axes.plot(ks, [o.value for o in found], "o-", label="measured")
    axes.fill_between(ks, [o.low for o in found], [o.high for o in found], alpha=0.25)
    axes.plot(
        ks, [o.expected for o in found], "s--", color="gray", label="random lists"
    )
    axes.fill_between(
        ks,
        [o.expected_low for o in found],
        [o.expected_high for o in found],
        color="gray",
        alpha=0.25,
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    k = "10" if "10" in overlaps else next(iter(overlaps))
    return Drawing(
        figure,
        f"Share of the K nearest items that {names} have in common, and what random "
        "lists would share; bands are 95 % intervals.",
        f"Line chart over the list length K: {names} share "
        f"{100 * overlaps[k].value:.1f} % of their {k} nearest items, random lists "
        f"{100 * overlaps[k].expected:.1f} %.",
    )


def similarity_figure(pair: PairDiagnosis) -> Drawing:
    """Densities of the similarities of retrieved items (Fig. 1, left, of CLEAR).

    Args:
        pair: The diagnosis of two modalities.

    Raises:
        UserError: If matplotlib is not installed.
    """
    names, found = " and ".join(pair.modalities), pair.similarities
    figure, axes = _axes("cosine of an item and its neighbours", "density")
    for name, density in found.density.items():
        axes.stairs(density, found.edges, fill=True, alpha=0.4, label=name)
    axes.legend()
    area = f"{100 * found.overlap:.0f} %"
    return Drawing(
        figure,
        f"Cosines of the ten nearest items in {names}. The densities have {area} of "
        "their area in common, which says that the scores are alike, not the items.",
        f"Two histograms of cosines; common area {area}.",
    )


def cost_figure(pair: PairDiagnosis) -> Drawing:
    """What projections of half, once and twice the suggested rank take.

    Args:
        pair: The diagnosis of two modalities, of rank 1 or more.

    Raises:
        UserError: If matplotlib is not installed.
    """
    figure, axes = _axes("rank", "share")
    x = range(len(pair.costs))
    for name in pair.modalities:
        removed = [cost.energy_removed[name] for cost in pair.costs]
        changed = [cost.neighbours_changed[name] for cost in pair.costs]
        (line,) = axes.plot(x, removed, "o-", label=f"{name}: variance removed")
        color = line.get_color()
        axes.plot(x, changed, "s--", color=color, label=f"{name}: neighbours changed")
    axes.set_xticks(x, [str(cost.rank) for cost in pair.costs])
    axes.set_ylim(0, 1)
    axes.legend()
    at_rank = next(c for c in pair.costs if c.rank == pair.suggested_rank)
    parts = [
        f"{100 * at_rank.energy_removed[name]:.0f} % of the variance of {name} and "
        f"{100 * at_rank.neighbours_changed[name]:.0f} % of its ten nearest items"
        for name in pair.modalities
    ]
    return Drawing(
        figure,
        "What the projection takes at half the suggested rank, at it, and at twice, "
        f"with strength {at_rank.strength:.2f}.",
        f"Line chart: rank {at_rank.rank} removes or changes {', '.join(parts)}.",
    )


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    try:
        figure, (axes,) = panels(1, width=6.4)
    except ImportError as error:
        raise UserError(
            "figures need matplotlib", "pip install 'mmgraph[plots]'"
        ) from error
    axes.set(xlabel=x_label, ylabel=y_label)
    return figure, axes
