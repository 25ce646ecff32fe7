"""The tables of cost: CLEAR's Table 4 and SEA's Table 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from mmgraph.analysis.leaderboard.published import published_cost
from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.paper_columns import drop_empty_paper_columns
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.spec import ModelSpec

_SHARED = (
    *("MF-BPR@released", "LightGCN@released", "VBPR@released", "MMGCN@released"),
    *("LATTICE@released", "FREEDOM@released"),
)
CLEAR_TABLE_4 = (*_SHARED, "CLEAR")
SEA_TABLE_5 = (*_SHARED, "SEAd", "SEAc", "SEAb", "SEAa")
_OTHER_MACHINES = (
    "The papers' columns are of other machines and code (RTX 4090 for CLEAR, not "
    "stated for SEA) and share six columns digit by digit: compare ratios within a "
    "column, and those with care."
)
#: Trained when the user does not say: the first epoch is left out of the median.
EPOCHS = 6


def clear_table_4(context: ExperimentContext) -> ExperimentResult:
    """Memory and seconds per epoch of the systems of CLEAR's Table 4."""
    return _cost(context, CLEAR_TABLE_4, "CLEAR, Table 4")


def sea_table_5(context: ExperimentContext) -> ExperimentResult:
    """Memory and seconds per epoch of the systems of SEA's Table 5."""
    return _cost(context, SEA_TABLE_5, "SEA, Table 5")


def _cost(
    context: ExperimentContext, systems: Sequence[str], table: str
) -> ExperimentResult:
    epochs = context.epochs or EPOCHS
    specs, missing = context.buildable(context.as_asked(systems))
    lines = context.bench(specs, settings={"epochs": epochs}, search=False)
    entries = {str(spec): _entry(context, spec, lines) for spec in specs}
    on_cpu = any(entry["device"] == "cpu" for entry in entries.values())
    memory = "the whole process, resident" if on_cpu else "tensors allocated on the GPU"
    notes = [
        f"Training alone, without evaluation: median over the epochs but the first "
        f"({epochs} trained), median over {len(context.seeds)} seeds.",
        f"Peak GB: {memory}.",
        *missing,
    ]
    if any(entry["published"] for entry in entries.values()):
        notes.append(_OTHER_MACHINES)
    caption = f"Cost on {context.source.name}, systems of {table}"
    return ExperimentResult(
        {"table": table, "epochs": epochs, "systems": entries, "missing": missing},
        tables=[_table(entries, caption)],
        notes=notes,
    )


def _entry(
    context: ExperimentContext, spec: ModelSpec, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    own = [line for line in lines if line["spec"] == str(spec)]
    return {
        "seconds_per_epoch": median(line["seconds_per_epoch"] for line in own),
        "peak_memory_bytes": max(line["peak_memory_bytes"] for line in own),
        "device": own[0]["device"],
        "published": published_cost(
            context.dataset, str(replace(spec, fidelity="paper"))
        ),
    }


def _table(entries: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    rows: list[list[Cell]] = []
    first = next(iter(entries.values()))["seconds_per_epoch"] if entries else None
    for name, entry in entries.items():
        seconds, paper = entry["seconds_per_epoch"], entry["published"] or {}
        rows.append(
            [
                name,
                f"{seconds:.3f}",
                f"{seconds / first:.2f}" if first else "",
                f"{entry['peak_memory_bytes'] / 1e9:.2f}",
                paper.get("seconds_per_epoch"),
                paper.get("memory_gb"),
            ]
        )
    columns = ["System", "s/epoch", "× the first row", "Peak GB", "Paper s/epoch"]
    return drop_empty_paper_columns(Table([*columns, "Paper GB"], rows, caption))
