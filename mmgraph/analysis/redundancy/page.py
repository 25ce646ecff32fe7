"""The redundancy report of a catalogue: a page, and the files of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgraph.analysis.redundancy.diagnosis import Diagnosis
from mmgraph.analysis.redundancy.figures import pair_figures, probe_figure
from mmgraph.analysis.redundancy.pair_diagnosis import PairDiagnosis
from mmgraph.analysis.redundancy.probe import Probe
from mmgraph.analysis.redundancy.tables import (
    clear_option_table,
    cost_table,
    direction_table,
    fact_table,
    modality_table,
    neighbour_table,
    probe_table,
)
from mmgraph.analysis.report.page import Figure, Section, page
from mmgraph.analysis.report.provenance import provenance
from mmgraph.errors import UserError
from mmgraph.files import write_atomic, write_json

_CONTROL = (
    "Whether a trained system uses what these features say at all: mmgraph reproduce "
    "control --data DIR --model NAME."
)
_FIRST = 20  # directions in the table; the data of the figure hold all


def write_diagnosis(
    folder: Path,
    diagnosis: Diagnosis,
    data: str,
    *,
    command: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Write a diagnosis as ``diagnosis.json`` and as ``report.html``.

    Args:
        folder: The folder; it need not exist.
        diagnosis: The diagnosis.
        data: Name of the catalogue.
        command: The command that made it, to be told in the report.
        more: Further entries of ``diagnosis.json``, such as the seconds it took.

    Returns:
        The content of ``diagnosis.json``.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> written = write_diagnosis(folder, Diagnosis({}, [], [], {}), "shop")
        >>> written["data"], sorted(path.name for path in folder.iterdir())
        ('shop', ['diagnosis.json', 'report.html'])
    """
    result = {"data": data, **diagnosis.to_dict(), **more}
    made = provenance(command)
    report = diagnosis_page(diagnosis, data, made)  # before anything is written
    write_json(folder / "diagnosis.json", result)
    write_atomic(folder / "report.html", report)
    return result


def diagnosis_page(
    diagnosis: Diagnosis, data: str, made: Mapping[str, str] | None = None
) -> str:
    """The diagnosis as one self-contained HTML page.

    A section for the modalities, one for the probe, then one for each pair: the
    suggestion and why, the figures with their numbers, the tables, and what to beware
    of. Without matplotlib the figures are left out, and the page says how to get them.

    Args:
        diagnosis: The modalities and pairs to show.
        data: Name of the catalogue.
        made: Facts under the title, as
            :func:`~mmgraph.analysis.report.provenance.provenance` gives them.

    Returns:
        HTML. The same diagnosis gives the same text.

    Example:
        >>> "<h1>Redundancy: shop</h1>" in diagnosis_page(
        ...     Diagnosis({}, [], [], {}), "shop"
        ... )
        True
    """
    about = []
    figures: list[list[Figure]] = [[] for _ in diagnosis.pairs]
    try:
        figures = [pair_figures(pair) for pair in diagnosis.pairs]
    except UserError as missing:
        about.append(f"The {missing.what}: {missing.fix}")
    sections = [
        Section("Modalities", about, [modality_table(diagnosis)], notes=diagnosis.notes)
    ]
    for pair, drawn in zip(diagnosis.pairs, figures, strict=True):
        sections.append(_pair_section(pair, drawn, diagnosis.settings))
    if diagnosis.clear_options:
        about_them = "Reasons to try them, nothing more: let validation decide."
        tables = [clear_option_table(diagnosis)]
        sections.append(Section("Options of CLEAR to try", [about_them], tables))
    if diagnosis.probe is not None:
        sections.insert(1, _probe_section(diagnosis.probe, with_figure=not about))
    return page(f"Redundancy: {data}", sections, made)


def _probe_section(probe: Probe, *, with_figure: bool) -> Section:
    paragraphs = [
        probe.suggestion,
        f"Measured without training, on validation alone: items by their {probe.k} "
        f"nearest by content, ranked for {probe.num_users} users. Features are centred "
        "and of one scale.",
        _CONTROL,
    ]
    figures = [probe_figure(probe)] if with_figure else []
    tables = [] if with_figure else [probe_table(probe)]
    return Section("Does projecting pay here?", paragraphs, tables, figures)


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
