"""The line of results of the popularity ranking."""

from __future__ import annotations

from mmgraph.bench.experiment import CUTOFFS, Splits, split_counts
from mmgraph.bench.records import ResultLine
from mmgraph.bench.versions import versions
from mmgraph.data.content_hash import fingerprint
from mmgraph.train.evaluation import evaluate
from mmgraph.train.popularity import Popularity


def popularity_line(splits: Splits, *, data: str, data_sha256: str) -> ResultLine:
    """The line of :class:`Popularity`, which needs no seed and no training.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> splits = load_dataset("synthetic")
        >>> line = popularity_line(splits, data="synthetic", data_sha256="")
        >>> line["model"], line["seed"], line["epochs"]
        ('Popularity', None, 0)
    """
    model = Popularity.from_data(splits[0])
    return {
        "spec": "Popularity",
        "data": data,
        "data_sha256": data_sha256,
        "interactions_sha256": fingerprint(*splits, features=False),
        "counts": split_counts(splits),
        "metrics": {
            "valid": evaluate(model, splits[1], ks=CUTOFFS),
            "test": evaluate(model, splits[2], ks=CUTOFFS),
        },
        "versions": versions(),
        "model": "Popularity",
        "plugin": None,
        "fidelity": "paper",
        "options": {},
        "trainer": {},
        "seed": None,
        "best_epoch": 0,
        "epochs": 0,
        "seconds_per_epoch": 0.0,
        "seconds_per_evaluation": 0.0,
        "peak_memory_bytes": 0,
        "device": "cpu",
        "key": f"Popularity-{data_sha256}",
    }
