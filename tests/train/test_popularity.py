from __future__ import annotations

import pytest

from mmgraph.schema import INTERACTS
from mmgraph.train.evaluation import evaluate
from mmgraph.train.popularity import Popularity


def test_recall_equals_a_slow_count(splits):
    train, _, test = splits
    seen, held = {}, {}
    for user, item in train[INTERACTS].edge_index.t().tolist():
        seen.setdefault(user, []).append(item)
    for user, item in test[INTERACTS].edge_label_index.t().tolist():
        held.setdefault(user, set()).add(item)
    every = [item for items in seen.values() for item in items]
    order = sorted(range(50), key=lambda item: (-every.count(item), item))
    recalls = []
    for user, wanted in held.items():
        top = [item for item in order if item not in seen[user]][:10]
        recalls.append(len(wanted & set(top)) / len(wanted))
    found = evaluate(Popularity.from_data(train), test)["recall@10"]
    assert found == pytest.approx(sum(recalls) / len(recalls), abs=1e-12)
