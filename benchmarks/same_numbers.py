"""Hashes of what training, evaluation and the kNN builder give, to compare two commits.

    python -m benchmarks same-numbers --out before.json     # in the one checkout
    python -m benchmarks same-numbers --out after.json      # in the other
    python -m benchmarks same-numbers --compare before.json after.json

A refactoring must leave every hash as it was: parameters after six steps (their values
in the order of registration, so that names may change), the history without its times,
the metrics, and the edges and similarities of kNN graphs. Hashes hold for one machine
and one set of versions; two minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.knn import approximate_knn_graph, insert, knn_graph
from mmgraph.models import (
    available_models,
    available_plugins,
    build_model,
    resolve_model,
)
from mmgraph.train import Trainer, evaluate

#: Options of the plug-ins, by name; each is tried on every system that takes it.
PLUGIN_OPTIONS: dict[str | None, list[dict[str, Any]]] = {
    None: [{}],
    "CLEAR": [{"rank": 4}, {"rank": 4, "where": "graph"}],
    "SEA": [{"club_inner_steps": 2}, {"club_inner_steps": 2, "score_heads": True}],
}
MODALITIES = [{"textual": 20}, {"visual": 24, "textual": 20}]
MODALITIES += [{"visual": 24, "textual": 20, "audio": 16}]


def digest(*values: Any) -> str:
    """SHA-256 of tensors by their bytes, and of all else by its text."""
    sha = hashlib.sha256()
    for value in values:
        is_tensor = isinstance(value, Tensor)
        sha.update(value.cpu().numpy().tobytes() if is_tensor else repr(value).encode())
    return sha.hexdigest()


def trained(splits: tuple[Any, ...], name: str, options: dict[str, Any]) -> str:
    """Hash of a system trained for two epochs; the message if it is refused."""
    train, valid, test = splits
    torch.manual_seed(1)
    try:
        model = build_model(name, train, **options)
    except UserError as error:
        return f"refused: {error}"
    size = -(-train["user", "interacts", "item"].edge_index.size(1) // 3)
    trainer = Trainer(epochs=2, batch_size=size, lr=1e-2, seed=7, device="cpu")
    history = trainer.fit(model, train, valid)
    rows = [
        {key: value for key, value in row.items() if not key.startswith("seconds")}
        for row in history.rows
    ]
    return digest(*model.state_dict().values(), rows, evaluate(model, test))


def systems() -> Iterator[tuple[str, str]]:
    """Every system, fidelity and plug-in, on one, two and three modalities."""
    for dims in MODALITIES:
        *splits, _ = synthetic(
            num_users=60, num_items=80, interactions_per_user=12, modalities=dims
        )
        for name in available_models():
            for fidelity in resolve_model(name)[1].fidelities:
                for plugin in (None, *available_plugins()):
                    for options in PLUGIN_OPTIONS[plugin]:
                        key = f"{name}@{fidelity}+{plugin}{options}/{len(dims)}"
                        chosen = {"fidelity": fidelity, "plugin": plugin, **options}
                        if name == "PAMD":
                            chosen["pretrain_epochs"] = 2
                        yield key, trained(tuple(splits), name, chosen)


def graphs() -> Iterator[tuple[str, str]]:
    """Graphs of features with zero and equal rows."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 24))).float()
    x[7] = 0.0
    x[20:24] = x[30]
    for metric in ("cosine", "ip", "l2"):
        for k in (1, 10, 700):
            for include_self in (False, True):
                key = f"knn_graph/{metric}/{k}/{include_self}"
                graph = knn_graph(x, k, metric=metric, include_self=include_self)
                yield key, digest(*graph)
        old = knn_graph(x[:400], 10, metric=metric)
        new = insert(*old, x, 10, num_new=100, metric=metric)
        yield f"insert/{metric}", digest(*new)
    graph = approximate_knn_graph(x, 10, recall=0.9, seed=0)
    yield "approximate", digest(graph.edge_index, graph.similarity)


def compare(before: Path, after: Path) -> int:
    """Print the entries that differ; 1 if there are any."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    for hashes in (old, new):  # in what words a system refuses is no number
        for key, value in hashes.items():
            hashes[key] = value.partition(":")[0]
    differing = [k for k in sorted(old | new) if old.get(k) != new.get(k)]
    for key in differing:
        print(f"{key}\n  {old.get(key)}\n  {new.get(key)}")
    print(f"{len(old | new) - len(differing)} the same, {len(differing)} differ")
    return int(bool(differing))


def main() -> int:
    """Write the hashes of this checkout, or compare two files of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--compare", type=Path, nargs=2)
    arguments = parser.parse_args()
    if arguments.compare:
        return compare(*arguments.compare)
    if arguments.out is None:
        parser.error("give --out FILE or --compare BEFORE AFTER")
    torch.set_num_threads(1)
    hashes = dict([*systems(), *graphs()])
    arguments.out.write_text(json.dumps(hashes, indent=1) + "\n")
    print(f"{len(hashes)} hashes in {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
