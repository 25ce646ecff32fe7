"""The tables of accuracy: CLEAR's Tables 2 and 3, SEA's Tables 2, 3 and 4.

The published rows of other systems come from their public code, so the systems that
have a ``released`` fidelity are run in it, unless the user wants their papers'; CLEAR
and SEA as their papers have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from mmgraph.analysis.leaderboard.published import caveat, published
from mmgraph.analysis.leaderboard.render import comparison_cells
from mmgraph.analysis.leaderboard.table import METRICS, Bases, Comparison
from mmgraph.analysis.report.formatting import change_text, decimals
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce import against_base
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.over_seeds import (
    mean_text,
    means_over_seeds,
    seeds_note,
)
from mmgraph.analysis.reproduce.paper_columns import drop_empty_paper_columns
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.spec import ModelSpec, parse_spec

_NAMES = ("R@10", "R@20", "N@10", "N@20")  # of the metrics, in their order
_EARLIER = (
    *("MF-BPR@released", "LightGCN@released", "LayerGCN", "VBPR@released"),
    *("MMGCN@released", "DualGNN@released", "LATTICE@released", "SLMRec@released"),
)
_LATER = (
    *("BM3@released", "MMSSL@released", "FREEDOM@released"),
    *("MGCN@released", "LGMRec@released"),
)
#: Systems of each table, in its order. SEA's published numbers are those of its public
#: code, which differs from the paper, so both are run.
CLEAR_TABLE_2 = (*_EARLIER, *_LATER, "MENTOR@released", "CLEAR")
SEA_TABLE_2 = (
    *(*_EARLIER, "MICRO@released", "PAMD"),
    *(*_LATER, "SEA", "SEA@released"),
)
CLEAR_TABLE_3 = (
    *("VBPR@released", "VBPR+CLEAR@released", "FREEDOM@released"),
    *("FREEDOM+CLEAR@released", "FREEDOM+CLEAR@released:where=graph"),
)
SEA_TABLE_3 = (
    *("VBPR@released", "VBPR+SEA@released", "VBPR+SEA@released:score_heads=true"),
    *("FREEDOM@released", "FREEDOM+SEA@released"),
)
#: Variant a is SEA itself.
SEA_TABLE_4 = ("SEA", "SEAb", "SEAc", "SEAd")

_FIDELITY = {
    "released": "Systems of others run as their public code (@released), which is what "
    "the published rows were made with; CLEAR, SEA and PAMD as their papers have them "
    "(PAMD's public losses are sums over batches of 100, which these are not).",
    "paper": "All systems as their papers have them; the published rows were made with "
    "their public code, which may differ.",
}
_WHERE = (
    "The paper does not say where the projection acts in FREEDOM: on the encoders' "
    "output (which reaches the scores through the features' loss alone), or on the "
    "raw features before the item graph is built (where=graph). Both are run, and "
    "the published row stands beside both."
)
_SCORE_HEADS = (
    "The plug-in trains the host's encoders and leaves its score alone. With "
    "score_heads the host sees the aligned heads in place of the projected "
    "features, as in the authors' VBPR variant. Both are run, and the published "
    "row stands beside both."
)
_VARIANTS = (
    "SEA (a): SoloSim and the bound of mutual information (MIM); b: SoloSim and "
    "negative distance; c: InfoNCE and MIM; d: InfoNCE and negative distance."
)
_UNPUBLISHED = "Of these systems nothing is published on these data."
_UNKNOWN = (
    "These data are none of the papers' data sets (by counts of users, items and "
    "interactions), so nothing published stands beside the numbers."
)


def clear_table_2(context: ExperimentContext) -> ExperimentResult:
    """All systems of CLEAR's Table 2."""
    return _overall(context, CLEAR_TABLE_2, "CLEAR, Table 2")


def sea_table_2(context: ExperimentContext) -> ExperimentResult:
    """All systems of SEA's Table 2."""
    return _overall(context, SEA_TABLE_2, "SEA, Table 2")


def clear_table_3(context: ExperimentContext) -> ExperimentResult:
    """CLEAR as a plug-in of VBPR and FREEDOM, on encoders and on the item graph."""
    return _plugged(context, CLEAR_TABLE_3, "CLEAR, Table 3", _WHERE)


def sea_table_3(context: ExperimentContext) -> ExperimentResult:
    """SEA as a plug-in of VBPR and FREEDOM."""
    return _plugged(context, SEA_TABLE_3, "SEA, Table 3", _SCORE_HEADS)


def sea_table_4(context: ExperimentContext) -> ExperimentResult:
    """The four combinations of alignment and distance."""
    context.require_modalities()
    return _overall(context, SEA_TABLE_4, "SEA, Table 4", _VARIANTS)


def _overall(
    context: ExperimentContext, systems: Sequence[str], name: str, *notes: str
) -> ExperimentResult:
    """Metrics beside the paper's."""
    numbers, _ = _run(context, systems, name)
    rows: list[list[Cell]] = []
    for entry in numbers["systems"].values():
        paper = entry["published"] or {}
        ratio = entry["share_of_published"]
        rows.append(
            [
                entry["spec"],
                *(mean_text(entry[metric]) for metric in METRICS),
                *(decimals(paper.get(metric)) for metric in METRICS),
                "" if ratio is None else f"{100 * ratio:.0f} %",
            ]
        )
    columns = ["System", *_NAMES, *(f"Paper {name}" for name in _NAMES)]
    columns.append("R@20 of paper")
    return _result(context, numbers, columns, rows, notes)


def _plugged(
    context: ExperimentContext, systems: Sequence[str], name: str, *notes: str
) -> ExperimentResult:
    """Metrics, and the improvement over the host beside the paper's."""
    context.require_modalities()
    numbers, compared = _run(context, systems, name, bases=against_base.host)
    rows: list[list[Cell]] = []
    for label, entry in numbers["systems"].items():
        own, printed = entry["improvement"], entry["published_improvement"]
        rows.append(
            [
                entry["spec"],
                *(mean_text(entry[metric]) for metric in METRICS),
                change_text(own and own["recall@20"]),
                *comparison_cells(compared.get(label)),
                decimals((entry["published"] or {}).get("recall@20")),
                change_text(printed and printed["recall@20"]),
            ]
        )
    columns = ["System", *_NAMES, "R@20 against host", *against_base.COLUMNS]
    columns += ["Paper R@20", "Paper against host"]
    notes = (*notes, *against_base.notes(compared))
    return _result(context, numbers, columns, rows, notes)


def _result(
    context: ExperimentContext,
    numbers: dict[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    notes: Sequence[str],
) -> ExperimentResult:
    caption = f"Test metrics on {context.source.name}, systems of {numbers['table']}"
    table = drop_empty_paper_columns(Table(columns, rows, caption))
    notes = [*notes, *_notes(context, numbers), _floors(context, numbers)]
    return ExperimentResult(numbers, tables=[table], notes=notes)


def _run(
    context: ExperimentContext,
    names: Sequence[str],
    table: str,
    *,
    bases: Bases = ModelSpec.ancestors,
) -> tuple[dict[str, Any], dict[str, Comparison]]:
    """Metrics of each system beside the paper's, and comparisons of the variants."""
    systems = context.as_asked(names)
    specs, missing = context.buildable(systems)
    lines = context.bench(specs)
    means = {metric: means_over_seeds(lines, metric) for metric in METRICS}
    compared = against_base.comparisons(context, lines, bases=bases)
    labels = {str(spec) for spec in specs}
    entries: dict[str, dict[str, Any]] = {}
    for name in systems:
        spec = parse_spec(name)
        label = str(spec) if str(spec) in labels else name
        plain = str(replace(spec, fidelity="paper", options={}))
        paper = published(context.dataset, plain, table)
        entries[label] = {
            "spec": label,
            **{metric: means[metric].get(label) for metric in METRICS},
            "published": paper,
            "share_of_published": _ratio(means["recall@20"].get(label), paper),
            "comparison": asdict(compared[label]) if label in compared else None,
        }
    for label, entry in entries.items():
        hosts = [str(host) for host in against_base.host(parse_spec(label))]
        entry |= _improvements(entry, entries.get(hosts[0]) if hosts else None)
    return {"table": table, "systems": entries, "missing": missing}, compared


def _improvements(
    entry: Mapping[str, Any], host: Mapping[str, Any] | None
) -> dict[str, dict[str, float] | None]:
    """Relative changes of the metrics against the host, measured and published."""
    improvement = paper = None
    if host and entry["recall@20"] and host["recall@20"]:
        improvement = {
            metric: entry[metric]["mean"] / host[metric]["mean"] - 1
            for metric in METRICS
            if host[metric]["mean"]
        } or None
    if host and entry["published"] and host["published"]:
        paper = {
            metric: entry["published"][metric] / host["published"][metric] - 1
            for metric in METRICS
        }
    return {"improvement": improvement, "published_improvement": paper}


def _ratio(
    entry: Mapping[str, Any] | None, paper: Mapping[str, Any] | None
) -> float | None:
    if paper is None or entry is None:
        return None
    return float(entry["mean"] / paper["recall@20"])


def _floors(context: ExperimentContext, numbers: dict[str, Any]) -> str:
    """Recall of the floors as a note, and all their metrics among the numbers."""
    lines = context.floors()
    numbers["floors"] = {line["spec"]: line["metrics"]["test"] for line in lines}
    values = (
        f"{name} {decimals(metrics['recall@20'])}"
        for name, metrics in numbers["floors"].items()
    )
    return (
        f"R@20 of floors, without training, tuned on validation: {', '.join(values)}."
    )


def _notes(context: ExperimentContext, numbers: Mapping[str, Any]) -> list[str]:
    notes = [seeds_note(context.seeds), _FIDELITY[context.fidelity]]
    notes += numbers["missing"]
    if context.dataset is None:
        return [*notes, _UNKNOWN]
    rows = [entry["published"] for entry in numbers["systems"].values()]
    sources = sorted({row["source"] for row in rows if row})
    if not sources:
        return [*notes, _UNPUBLISHED]
    notes.append(f"Paper: the numbers of {'; '.join(sources)}.")
    warning = caveat(context.dataset)
    return [*notes, f"{context.source.name}: {warning}."] if warning else notes
