"""What `mmgraph update` finds and costs, beside training again and the floors.

    python -m benchmarks updating DATA [--systems LightGCN FREEDOM] [--epochs 60]
        [--warm 3] [--share 0.1] [--seed 0]

A tenth of the users is new on the second day, with all their training pairs, and so is
a tenth of the items; another tenth of the items is there on the second day without a
single pair. Recall@20, the mean over users, of four kinds of pairs:

* users: test pairs of the new users;
* items: test pairs of the new items, among the new items;
* cold: all pairs of the cold items, among the cold items;
* known: test pairs of users and items of the first day.

Training stops early on validation, at most after --epochs. CPU seconds are those of
the whole command, without the start of Python.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from benchmarks.record import append_record, surroundings
from mmgraph.bench.config import run_config
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import train_run
from mmgraph.cli.options import read_settings
from mmgraph.data import load_dataset
from mmgraph.data.ids import match_ids
from mmgraph.models.parts.growth import COLD_ITEMS
from mmgraph.models.registry import kind_of
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, modalities
from mmgraph.serving.update import update_run

_K, _KINDS = 20, ("users", "items", "cold", "known")
#: Scores ``[b, I]`` of users ``[b]``.
Scores = Callable[[torch.Tensor], torch.Tensor]


class Days(NamedTuple):
    """Pairs with their labels, and masks of who is new on the second day."""

    user: np.ndarray
    item: np.ndarray
    label: np.ndarray
    new_user: np.ndarray
    new_item: np.ndarray
    cold_item: np.ndarray

    def pairs(self, kind: str) -> np.ndarray:
        """Mask of the pairs of one kind."""
        new_user, new_item = self.new_user[self.user], self.new_item[self.item]
        cold, test = self.cold_item[self.item], self.label == 2
        return {
            "users": test & new_user & ~cold,
            "items": test & new_item & ~new_user,
            "cold": cold & ~new_user,
            "known": test & ~new_user & ~new_item & ~cold,
        }[kind]


def two_days(data: str, folder: Path, share: float, seed: int) -> Days:
    """Write the data of the first and of the second day."""
    splits = load_dataset(data)
    edges = [split[INTERACTS].edge_label_index for split in splits]
    user, item = torch.cat(edges, dim=1).numpy()
    label = np.repeat([0, 1, 2], [each.size(1) for each in edges])
    users, items = splits[0][USER].num_nodes, splits[0][ITEM].num_nodes
    draw = np.random.default_rng(seed)
    masks = np.zeros(users, bool), np.zeros(items, bool), np.zeros(items, bool)
    order, count = draw.permutation(items), int(items * share)
    masks[0][draw.choice(users, int(users * share), replace=False)] = True
    masks[1][order[:count]] = True
    masks[2][order[count : 2 * count]] = True
    days = Days(user, item, label, *masks)
    late = days.new_user[user] | days.new_item[item] | days.cold_item[item]
    moved = np.where(days.cold_item[item], 2, label)
    for name, keep, there in (
        ("first", ~late, ~(days.new_item | days.cold_item)),
        ("second", np.ones(len(user), bool), np.ones(items, bool)),
    ):
        (folder / name).mkdir()
        table = {"user": user[keep], "item": item[keep], "split": moved[keep]}
        pd.DataFrame(table).to_csv(folder / name / "interactions.csv", index=False)
        for m in modalities(splits[0]):
            x = splits[0][ITEM][feature_key(m)].numpy()[there]
            ids = np.flatnonzero(there)
            np.savez(folder / name / f"{m}.npz", features=x, ids=ids)
    return days


def recall(scores: Scores, data: HeteroData, days: Days, kind: str) -> float:
    """Recall@20 of one kind of pairs."""
    pairs = days.pairs(kind)
    user = match_ids(np.asarray(data[USER].raw_id), days.user[pairs])
    item = match_ids(np.asarray(data[ITEM].raw_id), days.item[pairs])
    only = {"items": days.new_item, "cold": days.cold_item}.get(kind)
    history = data[INTERACTS].edge_index
    found = []
    for part in np.array_split(np.unique(user[user >= 0]), 1 + len(user) // 1000):
        score = scores(torch.from_numpy(part)).clone()
        row = np.searchsorted(part, history[0].numpy()).clip(max=len(part) - 1)
        mine = part[row] == history[0].numpy()
        score[row[mine], history[1].numpy()[mine]] = -torch.inf
        if only is not None:
            score[
                :, torch.from_numpy(~only[np.asarray(data[ITEM].raw_id)])
            ] = -torch.inf
        best = score.topk(_K).indices.numpy()
        for n, one in enumerate(part):
            own = item[user == one]
            found.append(len(np.intersect1d(best[n], own)) / len(own))
    return float(np.mean(found))


def report(
    name: str, found: tuple[Scores, HeteroData, bool], days: Days, cpu: float
) -> dict[str, Any]:
    """Print a row, and give it; no recall where all scores tie."""
    scores, data, ranks_cold = found
    kinds = [kind for kind in _KINDS if ranks_cold or kind != "cold"]
    row = {kind: recall(scores, data, days, kind) for kind in kinds}
    texts = [f"{row[kind]:.4f}" if kind in row else "     -" for kind in _KINDS]
    print(f"{name:26} {'  '.join(texts)}  {cpu:8.1f}", flush=True)
    return {"row": name, **row, "cpu_seconds": cpu}


def timed(make: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    make()
    return time.process_time() - start


def of_run(folder: Path) -> tuple[Scores, HeteroData, bool]:
    """Scores of a run's system, and whether it ranks cold items."""
    run = load_run(folder)
    data = run.model.add_graphs(run.splits[0])
    with torch.no_grad():
        user, item = run.model.ranking_embeddings(data)
    ranks_cold = COLD_ITEMS in run.model.growth.takes
    return lambda users: run.model.score(user[users], item).detach(), data, ranks_cold


def popularity(folder: Path) -> tuple[Scores, HeteroData, bool]:
    """Scores by the number of training pairs."""
    data = load_dataset(folder)[0]
    count = data[INTERACTS].edge_index[1].bincount(minlength=data[ITEM].num_nodes)
    return lambda users: count.double().expand(len(users), -1), data, False


def measure(
    system: str, settings: dict[str, Any], folder: Path, days: Days, warm: int
) -> list[dict[str, Any]]:
    """The rows of one system; a floor has one."""
    run = run_config(parse_spec(system), settings)
    first, second = (
        DataSource(str(folder / "first")),
        DataSource(str(folder / "second")),
    )
    again, old, new, trained_on = (folder / f"{system}-{n}" for n in range(4))
    cpu = timed(lambda: train_run(run, second, again))
    if kind_of(run.spec.model) == "floor":
        return [report(system, of_run(again), days, cpu)]
    rows = [report(f"{system}, trained again", of_run(again), days, cpu)]
    train_run(run, first, old)
    cpu = timed(lambda: update_run(old, second.data, new))
    rows.append(report(f"{system}, updated", of_run(new), days, cpu))
    cpu = timed(lambda: update_run(old, second.data, trained_on, epochs=warm))
    rows.append(report(f"{system}, +{warm} epochs", of_run(trained_on), days, cpu))
    return rows


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--systems", nargs="+", default=["LightGCN", "FREEDOM"])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="K=V", dest="settings")
    parser.add_argument("--record", metavar="FILE")
    args = parser.parse_args()
    settings = {"patience": 10} | read_settings(args.settings, args.epochs)
    rows: list[dict[str, Any]] = []
    print(f"{'':26} {'  '.join(f'{kind:>6}' for kind in _KINDS)}     CPU s")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        days = two_days(args.data, folder, args.share, args.seed)
        rows.append(report("Popularity", popularity(folder / "second"), days, 0.0))
        for system in ("ItemKNN", "ContentKNN", *args.systems):
            rows += measure(system, settings, folder, days, args.warm)
    row = {**surroundings(), "data": Path(args.data).name, "rows": rows}
    append_record(args.record, "updating", row)
    return 0
