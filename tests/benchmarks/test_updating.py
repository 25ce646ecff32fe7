from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmgraph.data import load_dataset, synthetic, write_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def shop(tmp_path):
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    write_dataset(*splits, tmp_path / "shop")
    # The measurement numbers users and items from 0.
    (tmp_path / "days").mkdir()
    return tmp_path


def test_the_days_differ_by_the_newcomers_and_recall_is_that_of_a_loop(shop):
    from benchmarks.updating import recall, two_days

    days = two_days(str(shop / "shop"), shop / "days", 0.2, seed=0)
    first, second = (
        load_dataset(shop / "days" / n)[0]["user", "interacts", "item"].edge_index
        for n in ("first", "second")
    )
    data = load_dataset(shop / "days" / "second")[0]
    assert first.size(1) < second.size(1)
    cold = set(np.flatnonzero(days.cold_item))
    assert not cold & set(second[1].tolist())
    draw = torch.Generator().manual_seed(0)
    score = torch.rand(data["user"].num_nodes, 50, generator=draw)
    seen = set(map(tuple, second.T.tolist()))
    raw = {int(n): row for row, n in enumerate(data["user"].raw_id)}
    for kind, only in (("users", None), ("cold", days.cold_item)):
        wanted = days.pairs(kind)
        values = []
        for user in sorted(set(days.user[wanted]) & raw.keys()):
            mine = set(days.item[wanted & (days.user == user)])
            ranked = [
                item
                for item in score[raw[user]].argsort(descending=True).tolist()
                if (raw[user], item) not in seen and (only is None or only[item])
            ]
            values.append(len(mine & set(ranked[:20])) / len(mine))
        assert recall(lambda users: score[users], data, days, kind) == pytest.approx(
            np.mean(values)
        )


def test_rows_of_floors_and_of_a_system(shop, capsys):
    from benchmarks.updating import measure, two_days

    days = two_days(str(shop / "shop"), shop / "days", 0.2, seed=0)
    assert len(measure("ContentKNN", {}, shop / "days", days, warm=1)) == 1
    rows = measure("MF-BPR", {"epochs": 1}, shop / "days", days, warm=1)
    names = ["MF-BPR, trained again", "MF-BPR, updated", "MF-BPR, +1 epochs"]
    assert [row["row"] for row in rows] == names
    assert all("cold" not in row for row in rows)
    assert capsys.readouterr().out.count("\n") == 4
