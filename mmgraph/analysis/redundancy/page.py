"""The redundancy report of a catalogue as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence

from mmgraph.analysis.redundancy.diagnosis import Diagnosis
from mmgraph.analysis.redundancy.figures import pair_figures
from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.redundancy.tables import (
    cost_table,
    density_table,
    direction_table,
    fact_table,
    modality_table,
    neighbour_table,
)
from mmgraph.analysis.report.page import Figure, Section, page
from mmgraph.analysis.report.plots import SVG, to_svg
from mmgraph.errors import UserError

_FIRST = 20  # directions in the table; the data of the figure hold all


def diagnosis_page(diagnosis: Diagnosis, data: str) -> str:
    """The diagnosis as one self-contained HTML page.

    A section for the modalities, then one for each pair: the suggestion and why, the
    figures with their numbers, the tables, and what to beware of. Without matplotlib
    the figures are left out, and the page says how to get them.

    Args:
        diagnosis: What was found.
        data: Name of the catalogue.

    Returns:
        HTML. The same diagnosis gives the same text.

    Example:
        >>> "<h1>Redundancy: shop</h1>" in diagnosis_page(
        ...     Diagnosis({}, [], [], {}), "shop"
        ... )
        True
    """
    about = []
    try:
        figures = [_figures(pair) for pair in diagnosis.pairs]
    except UserError as missing:
        figures = [[] for _ in diagnosis.pairs]
        about.append(f"The {missing.what}: {missing.fix}")
    sections = [
        Section("Modalities", about, [modality_table(diagnosis)], notes=diagnosis.notes)
    ]
    for pair, drawn in zip(diagnosis.pairs, figures, strict=True):
        sections.append(_pair_section(pair, drawn, diagnosis.settings))
    return page(f"Redundancy: {data}", sections)


def _pair_section(
    pair: PairDiagnosis, figures: Sequence[Figure], settings: dict[str, int]
) -> Section:
    rank, strength = pair.suggested_rank, pair.suggested_strength
    centres = min(pair.rows, settings["num_centres"])
    paragraphs = [
        f"Suggested for CLEAR: rank {rank}, strength {strength:.2f}. {pair.reason}",
        f"{pair.rows} items have both. The covariances are over all of these; the "
        f"neighbours are those of {centres} of them, exact among all.",
    ]
    tables = [fact_table(pair), neighbour_table(pair)]
    if pair.costs:
        tables.append(cost_table(pair))
    tables.append(direction_table(pair, _FIRST))
    heading = " and ".join(pair.modalities)
    return Section(heading, paragraphs, tables, figures, pair.notes)


def _figures(pair: PairDiagnosis) -> list[Figure]:
    data = [direction_table(pair), neighbour_table(pair), density_table(pair)]
    if pair.costs:
        data.append(cost_table(pair))
    return [
        Figure(to_svg(drawing.figure), SVG, drawing.alt, drawing.caption, table)
        for drawing, table in zip(pair_figures(pair), data, strict=True)
    ]
