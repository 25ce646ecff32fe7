"""The numbers of a diagnosis as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import zip_longest

from mmgraph.analysis.redundancy.diagnosis import Diagnosis
from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.bench.spec import format_options


def modality_table(diagnosis: Diagnosis) -> Table:
    """Dimension and counts, a row per modality.

    Args:
        diagnosis: Of a catalogue.

    Example:
        >>> modality_table(Diagnosis({}, [], [], {})).columns[:3]
        ('modality', 'dimension', 'items')
    """
    counts = {
        "dim": "dimension",
        "rows": "items",
        "missing_rows": "missing",
        "zero_rows": "zero",
        "duplicate_groups": "groups of equal rows",
        "duplicate_rows": "rows equal to an earlier one",
        "largest_duplicate_group": "largest group",
        "mean_share": "fraction of the mean row",
    }
    rows = []
    for name, summary in diagnosis.modalities.items():
        values = asdict(summary)
        rows.append([name, *(values[key] for key in counts)])
    return Table(("modality", *counts.values()), rows, "Counts of each modality")


def clear_option_table(diagnosis: Diagnosis) -> Table:
    """Options of CLEAR to try, and why.

    Args:
        diagnosis: Of a catalogue.

    Example:
        >>> clear_option_table(Diagnosis({}, [], [], {})).columns
        ('options', 'why')
    """
    rows = [
        [format_options(option.options), option.reason]
        for option in diagnosis.clear_options
    ]
    return Table(("options", "why"), rows, "Options of CLEAR to try")


def fact_table(pair: PairDiagnosis) -> Table:
    """Measures of one number each, beside a value to compare with.

    Args:
        pair: The diagnosis of two modalities.
    """
    clear = "a clear step" if pair.rank_is_clear else "no clear step"
    gap = pair.spectral_gap if pair.suggested_rank else None
    ratio = pair.imbalance_ratio
    bound = f"{pair.imbalance_bound:.4g} or more by Corollary 3 of CLEAR"
    rows: list[tuple[str, Cell, str]] = [
        ("items with both", pair.rows, ""),
        ("suggested rank", pair.suggested_rank, clear if pair.suggested_rank else ""),
        ("suggested strength", pair.suggested_strength, ""),
        ("effective rank", pair.effective_rank, f"of {len(pair.singular_values)}"),
        (
            "relative gap after the rank",
            gap,
            "nothing is shared" if gap is None else "",
        ),
        ("largest singular value", pair.singular_values[0], ""),
        ("largest by chance after the rank", pair.chance_level, ""),
        ("linear CKA", pair.cka, f"{pair.cka_by_chance:.4g} by chance"),
        (
            "sliced Wasserstein distance, unit rows",
            pair.swd,
            f"{pair.swd_after:.4g} after the projection",
        ),
        (
            "sliced Wasserstein distance, own scale",
            pair.swd_raw,
            f"{pair.swd_raw_after:.4g} after the projection",
        ),
        ("common area of the similarities", pair.similarities.overlap, ""),
        (
            "imbalance ratio at unit variance",
            ratio,
            "nothing outside the shared directions" if ratio is None else bound,
        ),
    ]
    for name, stability in (pair.stability or {}).items():
        rows += [
            (
                f"largest angle between halves, {name}",
                stability.angle_degrees,
                "degrees",
            ),
            (
                f"affinity of halves, {name}",
                stability.affinity,
                f"{stability.chance_affinity:.4g} by chance",
            ),
        ]
    return Table(("measure", "value", "beside"), rows, "In one number each")


def direction_table(pair: PairDiagnosis, first: int | None = None) -> Table:
    """The spectrum, and what goes with its first directions.

    Args:
        pair: The diagnosis of two modalities.
        first: Number of rows; None for all directions.
    """
    spectrum = pair.singular_values[:first]
    after = pair.projected_singular_values[:first]
    further = [pair.correlations, *(pair.variance_shares[n] for n in pair.modalities)]
    rows: Sequence[Sequence[Cell]] = [
        [number, *values]
        for number, values in enumerate(
            # Only the first directions have more than a singular value.
            zip_longest(spectrum, after, *(x[:first] for x in further)),
            start=1,
        )
    ]
    columns = (
        "direction",
        "singular value",
        "after the projection",
        "correlation",
        *(f"{name}: fraction of variance" for name in pair.modalities),
    )
    return Table(columns, rows, "The spectrum, direction by direction")


def neighbour_table(pair: PairDiagnosis) -> Table:
    """Neighbours in common, and those of random neighbours, by K.

    Args:
        pair: The diagnosis of two modalities.
    """
    columns = (
        "neighbours K",
        "neighbours in common",
        "95 % from",
        "95 % to",
        "random neighbours",
        "random 95 % from",
        "random 95 % to",
    )
    overlaps = pair.neighbour_overlap.items()
    rows = [[int(k), *asdict(overlap).values()] for k, overlap in overlaps]
    return Table(columns, rows, "Neighbours in common")


def density_table(pair: PairDiagnosis) -> Table:
    """Densities of the similarities of the ten nearest items.

    Args:
        pair: The diagnosis of two modalities.
    """
    edges, density = pair.similarities.edges, pair.similarities.density
    columns = ("cosine from", "to", *(f"{name}: density" for name in density))
    rows = zip(edges[:-1], edges[1:], *density.values(), strict=True)
    return Table(columns, list(rows), "Densities of the similarities")


def probe_table(probe: Probe) -> Table:
    """Recall on validation by place, rank and strength, with the difference's error.

    Args:
        probe: The probe of a catalogue.
    """
    rows = [
        (
            place.name,
            point.rank,
            point.strength,
            point.recall,
            point.difference if point.rank else None,
            point.error if point.rank else None,
        )
        for place in probe.places
        for point in place.points
    ]
    columns = (
        *("neighbours by", "rank", "strength", f"{probe.metric}, validation"),
        *("difference to rank 0", "its standard error"),
    )
    return Table(columns, rows, "Content neighbours after the projection")


def cost_table(pair: PairDiagnosis) -> Table:
    """Cost of the projection by rank, in fractions of 1.

    Args:
        pair: The diagnosis of two modalities.
    """
    names = pair.modalities
    columns = (
        "rank",
        "strength",
        "shared energy removed",
        *(f"{name}: variance removed" for name in names),
        *(f"{name}: neighbours changed" for name in names),
    )
    rows = [
        (
            cost.rank,
            cost.strength,
            cost.shared_energy_removed,
            *(cost.energy_removed[name] for name in names),
            *(cost.neighbours_changed[name] for name in names),
        )
        for cost in pair.costs
    ]
    return Table(columns, rows, "What the projection takes, in fractions of 1")
