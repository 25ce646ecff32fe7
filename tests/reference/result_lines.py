"""Whole lines of the files of a benchmark."""

from __future__ import annotations

from mmgraph.train.epoch_seed import DRAWS

METRICS = {f"{name}@{k}": 0.5 for name in ("recall", "ndcg") for k in (10, 20)}


def result(key, **changes):
    """A line of ``results.jsonl``."""
    line = {
        "spec": "VBPR",
        "model": "VBPR",
        "plugin": None,
        "fidelity": "paper",
        "options": {"embedding_dim": 4},
        "trainer": {"lr": 0.1},
        "key": key,
        "data": "toy",
        "data_sha256": "0",
        "counts": {"users": 2, "items": 3, "train": 4, "valid": 1, "test": 1},
        "metrics": {"valid": dict(METRICS), "test": dict(METRICS)},
        "best_epoch": 1,
        "epochs": 2,
        "seconds_per_epoch": 0.1,
        "seconds_per_evaluation": 0.1,
        "peak_memory_bytes": 1,
        "device": "cpu",
        "versions": {"mmgraph": "0"},
        "draws": DRAWS,
        "seed": 1,
    }
    return line | changes


def point(key, value):
    """A line of ``selection.jsonl``."""
    whole = {"spec": "VBPR", "options": {}, "trainer": {}, "seed": 1, "key": key}
    return whole | {"valid_recall@20": value}
