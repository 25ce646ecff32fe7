"""The tables of cost: CLEAR's Table 4 and SEA's Table 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from mmgraph.analysis.leaderboard.published import published_cost
from mmgraph.analysis.report.page import Cell, Table
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.formatting import without_unpublished
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.bench.spec import parse_spec

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


def clear_table_4(lab: Lab) -> Outcome:
    """Memory and seconds per epoch of the systems of CLEAR's Table 4."""
    return _cost(lab, CLEAR_TABLE_4, "CLEAR, Table 4")


def sea_table_5(lab: Lab) -> Outcome:
    """Memory and seconds per epoch of the systems of SEA's Table 5."""
    return _cost(lab, SEA_TABLE_5, "SEA, Table 5")


def _cost(lab: Lab, systems: Sequence[str], table: str) -> Outcome:
    epochs = lab.epochs or EPOCHS
    specs, missing = lab.able(lab.as_asked(systems))
    lines = lab.bench(specs, settings={"epochs": epochs}, search=False)
    entries = {}
    for spec in specs:
        own = [line for line in lines if line["spec"] == str(spec)]
        entries[str(spec)] = {
            "seconds_per_epoch": median(line["seconds_per_epoch"] for line in own),
            "peak_memory_bytes": max(line["peak_memory_bytes"] for line in own),
            "device": own[0]["device"],
            "published": published_cost(
                lab.dataset, str(replace(parse_spec(str(spec)), fidelity="paper"))
            ),
        }
    first = next(iter(entries.values()))["seconds_per_epoch"] if entries else None
    rows: list[list[Cell]] = []
    for name, entry in entries.items():
        paper = entry["published"] or {}
        seconds = entry["seconds_per_epoch"]
        rows.append(
            [
                *(name, f"{seconds:.3f}", f"{seconds / first:.2f}" if first else ""),
                f"{entry['peak_memory_bytes'] / 1e9:.2f}",
                *(paper.get("seconds_per_epoch"), paper.get("memory_gb")),
            ]
        )
    columns = ["System", "s/epoch", "× the first row", "Peak GB", "Paper s/epoch"]
    caption = f"Cost on {lab.source.name}, systems of {table}"
    on_cpu = any(entry["device"] == "cpu" for entry in entries.values())
    memory = "the whole process, resident" if on_cpu else "tensors allocated on the GPU"
    notes = [
        f"Training alone, without evaluation: median over the epochs but the first "
        f"({epochs} trained), median over {len(lab.seeds)} seeds.",
        f"Peak GB: {memory}.",
        *missing,
    ]
    if any(entry["published"] for entry in entries.values()):
        notes.append(_OTHER_MACHINES)
    return Outcome(
        {"table": table, "epochs": epochs, "systems": entries, "missing": missing},
        tables=[without_unpublished(Table([*columns, "Paper GB"], rows, caption))],
        notes=notes,
    )
