"""The tables of accuracy: CLEAR's Tables 2 and 3, SEA's Tables 2, 3 and 4.

The published rows of other systems come from their public code, so the systems that
have a ``released`` fidelity are run in it, unless the user wants their papers'; CLEAR
and SEA as their papers have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmgraph.analysis.leaderboard.published import caveat, published
from mmgraph.analysis.report.page import Cell, Table
from mmgraph.analysis.reproduce import against_base
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.formatting import (
    METRICS,
    SHORT,
    four,
    means,
    per_cent,
    seeds_note,
    spread,
    without_unpublished,
)
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.bench.spec import parse_spec

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
_UNPUBLISHED = "Of these systems nothing is published on these data."
_UNKNOWN = (
    "These data are none of the papers' data sets (by counts of users, items and "
    "interactions), so nothing published stands beside the numbers."
)


def clear_table_2(lab: Lab) -> Outcome:
    """All systems of CLEAR's Table 2."""
    return _overall(lab, CLEAR_TABLE_2, "CLEAR, Table 2")


def sea_table_2(lab: Lab) -> Outcome:
    """All systems of SEA's Table 2."""
    return _overall(lab, SEA_TABLE_2, "SEA, Table 2")


def clear_table_3(lab: Lab) -> Outcome:
    """CLEAR as a plug-in of VBPR and FREEDOM, on encoders and on the item graph."""
    outcome = _plugged(lab, CLEAR_TABLE_3, "CLEAR, Table 3")
    outcome.notes = [
        "The paper does not say where the projection acts in FREEDOM: on the encoders' "
        "output (which reaches the scores through the features' loss alone), or on the "
        "raw features before the item graph is built (where=graph). Both are run, and "
        "the published row stands beside both.",
        *outcome.notes,
    ]
    return outcome


def sea_table_3(lab: Lab) -> Outcome:
    """SEA as a plug-in of VBPR and FREEDOM."""
    outcome = _plugged(lab, SEA_TABLE_3, "SEA, Table 3")
    outcome.notes = [
        "The plug-in trains the host's encoders and leaves its score alone. With "
        "score_heads the host sees the aligned heads in place of the projected "
        "features, as in the authors' VBPR variant. Both are run, and the published "
        "row stands beside both.",
        *outcome.notes,
    ]
    return outcome


def sea_table_4(lab: Lab) -> Outcome:
    """The four combinations of alignment and distance."""
    lab.need_modalities()
    outcome = _overall(lab, SEA_TABLE_4, "SEA, Table 4")
    outcome.notes = [
        "SEA (a): SoloSim and the bound of mutual information (MIM); b: SoloSim and "
        "negative distance; c: InfoNCE and MIM; d: InfoNCE and negative distance.",
        *outcome.notes,
    ]
    return outcome


def _overall(lab: Lab, systems: Sequence[str], table: str) -> Outcome:
    found = _run(lab, systems, table)
    columns = [*SHORT.values(), *(f"Paper {short}" for short in SHORT.values())]
    rows: list[list[Cell]] = []
    for entry in found["systems"].values():
        measured = [spread(entry[m]) if entry[m] else "" for m in METRICS]
        printed = [four((entry["published"] or {}).get(m)) for m in METRICS]
        ratio = entry["share_of_published"]
        share = "" if ratio is None else f"{100 * ratio:.0f} %"
        rows.append([entry["spec"], *measured, *printed, share])
    caption = f"Test metrics on {lab.source.name}, systems of {table}"
    shown = Table(["System", *columns, "R@20 of paper"], rows, caption)
    return Outcome(found, tables=[without_unpublished(shown)], notes=_notes(lab, found))


def _plugged(lab: Lab, systems: Sequence[str], table: str) -> Outcome:
    lab.need_modalities()
    found = _run(lab, systems, table)
    rows: list[list[Cell]] = []
    for entry in found["systems"].values():
        measured = [spread(entry[m]) if entry[m] else "" for m in METRICS]
        own, printed = entry["improvement"], entry["published_improvement"]
        rows.append(
            [
                *(entry["spec"], *measured, per_cent(own and own["recall@20"])),
                *against_base.comparison_cells(entry["comparison"]),
                four((entry["published"] or {}).get("recall@20")),
                per_cent(printed and printed["recall@20"]),
            ]
        )
    columns = ["System", *SHORT.values(), "R@20 against host", *against_base.COLUMNS]
    columns += ["Paper R@20", "Paper against host"]
    caption = f"Test metrics on {lab.source.name}, systems of {table}"
    notes = [
        *against_base.notes({s: e["comparison"] for s, e in found["systems"].items()}),
        *_notes(lab, found),
    ]
    shown = without_unpublished(Table(columns, rows, caption))
    return Outcome(found, tables=[shown], notes=notes)


def _run(lab: Lab, names: Sequence[str], table: str) -> dict[str, Any]:
    systems = lab.as_asked(names)
    specs, missing = lab.able(systems)
    lines = lab.bench(specs)
    by_metric = {metric: means(lines, metric) for metric in METRICS}
    compared = against_base.comparisons(lab, lines)
    entries: dict[str, dict[str, Any]] = {}
    for name in systems:
        spec = next((s for s in specs if str(s) == str(parse_spec(name))), None)
        label = name if spec is None else str(spec)
        plain = str(replace(parse_spec(name), fidelity="paper", options={}))
        entry: dict[str, Any] = {"spec": label}
        entry |= {m: by_metric[m].get(label) for m in METRICS}
        entry["published"] = published(lab.dataset, plain, table)
        entry["share_of_published"] = _ratio(entry, entry["published"])
        entry["comparison"] = compared.get(label)
        entries[label] = entry
    for label, entry in entries.items():
        entry["improvement"] = entry["published_improvement"] = None
        host = str(replace(parse_spec(label), plugin=None, options={}))
        if host != label and host in entries:
            base = entries[host]
            if entry["recall@20"] and base["recall@20"]:
                entry["improvement"] = {
                    m: entry[m]["mean"] / base[m]["mean"] - 1
                    for m in METRICS
                    if base[m]["mean"]
                } or None
            if entry["published"] and base["published"]:
                entry["published_improvement"] = {
                    m: entry["published"][m] / base["published"][m] - 1 for m in METRICS
                }
    return {"table": table, "systems": entries, "missing": missing}


def _ratio(entry: Mapping[str, Any], paper: Mapping[str, Any] | None) -> float | None:
    if paper is None or entry["recall@20"] is None:
        return None
    return float(entry["recall@20"]["mean"] / paper["recall@20"])


def _notes(lab: Lab, found: Mapping[str, Any]) -> list[str]:
    notes = [seeds_note(lab.seeds), _FIDELITY[lab.fidelity], *found["missing"]]
    if lab.dataset is None:
        return [*notes, _UNKNOWN]
    rows = [entry["published"] for entry in found["systems"].values()]
    sources = sorted({row["source"] for row in rows if row})
    if not sources:
        return [*notes, _UNPUBLISHED]
    notes.append(f"Paper: the numbers of {'; '.join(sources)}.")
    warning = caveat(lab.dataset)
    return [*notes, f"{lab.source.name}: {warning}."] if warning else notes
