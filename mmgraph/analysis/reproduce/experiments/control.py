"""The control: can these data tell whether a system uses its features?"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from mmgraph.analysis.compare import (
    NOTES,
    ComparedSystem,
    compare_systems,
    comparison_table,
)
from mmgraph.analysis.per_user import PerUserMetrics
from mmgraph.analysis.report.formatting import decimals, signed_interval_text
from mmgraph.analysis.report.table import Table
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.benchmark import FailedRunsError
from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import Splits, build
from mmgraph.bench.spec import ModelSpec
from mmgraph.data import fingerprint
from mmgraph.schema import ITEM, feature_key, mask_key, modalities
from mmgraph.transforms.replace_features import ReplaceFeatures

METRIC, TRUE, SHUFFLED = "recall@20", "true", "shuffled"
_ABOUT = (
    "The same system, with the options chosen for the true features, on features "
    "shuffled over the items, on zeros, and on one modality alone, the others zero. "
    "One shuffle serves all seeds; its draw is not in the intervals."
)
_GRAPHS = {
    True: "The item graph, where the system has one, is that of the true features: "
    "what is replaced is the encoders' input alone.",
    False: "Item graphs are built from the replaced features, too.",
}


def control(context: ExperimentContext) -> ExperimentResult:
    """True features against shuffled ones, zeros, and each modality alone."""
    context.require_modalities(1)
    (spec,), _ = context.buildable([context.model], required=True)
    keep = bool(context.grid["keep_graph"][0])
    lines = context.bench([spec])
    systems, notes = [_per_user(context, lines, TRUE)], []
    chosen = {**lines[0]["options"], **lines[0]["trainer"]}
    for name, transforms in _inputs(context.modalities).items():
        other = _on_other_features(context, name, transforms, spec, chosen, keep=keep)
        try:
            systems.append(_per_user(other, other.bench([spec]), name))
        except FailedRunsError as error:
            notes.append(f"{name} is left out: {error.what}.")
    rows = compare_systems(systems, METRIC)
    table = comparison_table(rows, METRIC)
    heading = f"{spec} on {context.source.name}, by the encoders' input"
    table = Table(("Input", *table.columns[1:]), table.rows, heading)
    verdict = control_verdict(str(spec), rows)
    numbers = {
        "spec": str(spec),
        "keep_graph": keep,
        "metric": METRIC,
        "inputs": {row.label: asdict(row) for row in rows},
        "verdict": verdict,
    }
    about = [verdict, _ABOUT, _GRAPHS[keep]]
    return ExperimentResult(numbers, about, tables=[table], notes=[*notes, *NOTES])


def control_verdict(spec: str, rows: Sequence[ComparedSystem]) -> str:
    """What the control says, in sentences.

    Args:
        spec: The system.
        rows: The inputs, the true one first, then the shuffled one.

    Example:
        >>> control_verdict("VBPR", [])
        'No other input could be tried: these data cannot tell.'
    """
    tied = [row.label for row in rows[1:] if not _differs(row, -1)]
    shuffled = next((row for row in rows[1:] if row.label == SHUFFLED), None)
    if shuffled is None or shuffled.difference is None:
        return "No other input could be tried: these data cannot tell."
    change = (
        f"{shuffled.difference.mean:+.4f}, 95 % "
        f"{signed_interval_text(shuffled.difference.over_both)}"
    )
    others = [name for name in tied if name != SHUFFLED]
    also = (
        f" No worse than the true ones, either: {', '.join(others)}." if others else ""
    )
    if len(shuffled.seeds) < 2:
        change += "; one seed, so that the noise of training is not in it"
    if _differs(shuffled, +1):
        return (
            f"Shuffled features are better than the true ones ({change}): {spec} makes "
            f"nothing good of what its features say.{also}"
        )
    if SHUFFLED in tied:
        seen = decimals(shuffled.difference.detectable)
        return (
            f"Shuffled features tie with the true ones ({change}): with these options "
            f"the data cannot tell what {spec} makes of its features, nor what an "
            f"ablation of its encoders is worth. A loss below {seen} would be missed "
            f"in more than one of five experiments like this one.{also}"
        )
    return (
        f"Shuffled features cost recall ({change}): these data can tell that {spec} "
        f"uses what its features say.{also}"
    )


def _differs(row: ComparedSystem, sign: int) -> bool:
    """True if the difference to the true features is shown to have this sign."""
    difference = row.difference
    if difference is None or difference.p_value >= 0.05:
        return False
    return difference.mean * sign > 0


def _inputs(names: Sequence[str]) -> dict[str, list[BaseTransform]]:
    """Transforms of the features, by name of the input."""
    inputs: dict[str, list[BaseTransform]] = {
        SHUFFLED: [ReplaceFeatures("shuffle")],
        "zero": [ReplaceFeatures("zero")],
    }
    if len(names) > 1:
        for name in names:
            others = [other for other in names if other != name]
            inputs[f"{name} alone"] = [ReplaceFeatures("zero", others)]
    return inputs


def _on_other_features(
    context: ExperimentContext,
    name: str,
    transforms: Sequence[BaseTransform],
    spec: ModelSpec,
    options: Mapping[str, Any],
    *,
    keep: bool,
) -> ExperimentContext:
    """The same context over other features, its runs in a folder of their own."""
    train = context.train
    if keep:
        train = build(run_config(spec, options), train).add_graphs(train)
    changed = copy.copy(train)
    for transform in transforms:
        changed = transform(changed)
    splits = _with_items_of(changed, context.splits)
    sha256 = fingerprint(*splits)
    if keep:  # which the fingerprint does not read
        text = f"{sha256}, item graphs of {context.data_sha256}"
        sha256 = hashlib.sha256(text.encode()).hexdigest()
    folder = context.runs / "control" / name.replace(" ", "-")
    return replace(
        context,
        splits=splits,
        data_sha256=sha256,
        runs=folder,
        settings={**options},
        recipe=None,
    )


def _with_items_of(changed: HeteroData, splits: Splits) -> Splits:
    """Splits that share the features and item graphs of another object."""
    others = []
    for split in splits:
        other = copy.copy(split)
        for name in modalities(changed):
            for key in (feature_key(name), mask_key(name)):
                if key in changed[ITEM]:
                    other[ITEM][key] = changed[ITEM][key]
        for edge_type in changed.edge_types:
            if edge_type not in split.edge_types:
                for key, value in changed[edge_type].items():
                    other[edge_type][key] = value
        others.append(other)
    return (*others,)


def _per_user(
    context: ExperimentContext, lines: Sequence[Mapping[str, Any]], name: str
) -> PerUserMetrics:
    tables = context.per_user(lines)
    of_runs = [tables[line["key"]] for line in lines]
    values = {METRIC: np.stack([table[METRIC] for table in of_runs])}
    seeds = tuple(line["seed"] for line in lines)
    return PerUserMetrics(name, seeds, of_runs[0]["user"], values)
