from __future__ import annotations

import torch

from mmgraph.distributed.world import World
from mmgraph.models import build_model
from mmgraph.train.sharding import column_tables, shared_state
from mmgraph.train.sharding.column_tables import split_tables
from mmgraph.train.sharding.shared_state import (
    shared_keys,
    state_of_first,
    whole_state,
)


def share(model, monkeypatch):
    for module in (column_tables, shared_state):
        monkeypatch.setattr(module, "world", lambda: World(0, 3))
    split_tables(model)
    return model


def test_moments_of_shared_tables_are_shared_and_counts_are_not(splits, monkeypatch):
    model = share(build_model("MF-BPR", splits[0], embedding_dim=7), monkeypatch)
    other = torch.nn.Parameter(torch.zeros(2))
    dense = torch.optim.Adam([other])
    rows = torch.optim.SparseAdam([model.item.weight, model.user.weight])
    assert shared_keys(model, {"main": dense, "rows": rows}) == {
        *(f"{part}/{t}.weight" for part in ("model", "best") for t in ("user", "item")),
        *(f"optimizer/rows/{n}.exp_avg{end}" for n in (0, 1) for end in ("", "_sq")),
    }


def test_matrices_are_put_together_in_the_same_order_everywhere(splits, monkeypatch):
    model = share(build_model("MF-BPR", splits[0], embedding_dim=7), monkeypatch)
    asked = []

    def whole(part, dim, in_all):
        asked.append((float(part), dim, in_all))
        return 10 * part

    monkeypatch.setattr(shared_state, "whole_matrix", whole)
    tensors = {name: torch.tensor(float(n)) for n, name in enumerate("dbca")}
    found = whole_state(model, tensors, {"a", "d", "b", "absent"})
    assert asked == [(3.0, 7, False), (1.0, 7, False), (0.0, 7, False)]
    assert {name: float(value) for name, value in found.items()} == {
        **{"d": 0.0, "b": 10.0, "c": 2.0, "a": 30.0}
    }


def test_of_a_shared_matrix_each_process_takes_its_columns(splits, monkeypatch):
    model = share(build_model("MF-BPR", splits[0], embedding_dim=7), monkeypatch)
    whole = torch.arange(14.0).view(2, 7)
    sent = []
    monkeypatch.setattr(shared_state, "take_from_first", sent.append)
    monkeypatch.setattr(
        shared_state,
        "columns_of_first",
        lambda given, part, dim: part.copy_(given[:, : part.size(1)]),
    )
    names = [["m", "float32", 2, 7], ["step", "int64"]]
    tensors = {"m": whole, "step": torch.tensor(5)}
    found = state_of_first(model, tensors, names, {"m"}, torch.device("cpu"))
    assert found["m"].equal(whole[:, :3])
    assert found["step"] == 5
    assert [list(each) for each in sent] == [["step"]]
