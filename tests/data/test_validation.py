from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from mmgraph.data import check_split, from_interactions, synthetic, validate
from mmgraph.data.validation import _first_shared
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, REV_INTERACTS


@pytest.fixture
def data():
    return from_interactions([0, 1, 1], [0, 1, 2], features={"a": np.eye(3)})


@pytest.fixture(scope="module")
def splits():
    return synthetic(num_users=40, num_items=60)[:3]


def _set(store, name, value):
    return lambda data: setattr(data[store], name, value)


BROKEN = {
    "user_out_of_range": (
        _set(INTERACTS, "edge_index", torch.tensor([[5], [0]])),
        r"edge_index\[0, 0\] is user 5 of 2",
    ),
    "item_negative": (
        _set(INTERACTS, "edge_label_index", torch.tensor([[0, 1], [0, -1]])),
        r"edge_label_index\[1, 1\] is item -1 of 3",
    ),
    "edge_dtype": (
        _set(INTERACTS, "edge_index", torch.zeros(2, 1)),
        r"not int64 \[2, E\]",
    ),
    "duplicate": (
        _set(INTERACTS, "edge_label_index", torch.tensor([[1, 1], [2, 2]])),
        "user 1 and item 2 stand in edge_label_index twice",
    ),
    "mirror": (
        _set(REV_INTERACTS, "edge_index", torch.tensor([[0], [0]])),
        "rev_interacts is not the mirror",
    ),
    "feature_dtype": (
        _set("item", "x_a", torch.zeros(3, 1).double()),
        "a features are torch.float64",
    ),
    "feature_rows": (_set("item", "x_a", torch.zeros(4, 1)), "4 rows for 3 items"),
    "not_finite": (
        _set("item", "x_a", torch.tensor([[0.0], [1.0], [torch.inf]])),
        "row 2 of the a features",
    ),
    "mask": (_set("item", "mask_a", torch.zeros(3)), "mask_a is torch.float32"),
    "raw_id_length": (_set("user", "raw_id", np.arange(3)), "3 ids for 2 nodes"),
    "raw_id_twice": (_set("user", "raw_id", np.array([4, 4])), "id 4 stands at rows"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_broken_rule_is_named(data, case):
    validate(data)
    breaks, message = BROKEN[case]
    breaks(data)
    with pytest.raises(UserError, match=message):
        validate(data)


def test_items_first_is_refused(data):
    other = HeteroData()
    other["item"].num_nodes = 3
    other["user"].num_nodes = 2
    with pytest.raises(UserError, match="not user then item"):
        validate(other)


def test_a_sound_split_passes(splits):
    check_split(*splits)


def _leak(into, source, name):
    """Replace the last edge of ``into`` by the first positive of ``source``."""
    into = copy.copy(into)
    edges = into[INTERACTS][name].clone()
    edges[:, -1] = source[INTERACTS].edge_label_index[:, 0]
    into[INTERACTS][name] = edges
    if name == "edge_index":
        into[REV_INTERACTS].edge_index = edges.flip(0)
    return into


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_test_edge_in_any_message_graph_is_caught(splits, part):
    leaky = list(splits)
    leaky[part] = _leak(splits[part], splits[2], "edge_index")
    with pytest.raises(UserError, match="training edges only"):
        check_split(*leaky)


@pytest.mark.parametrize(("into", "source"), [(1, 0), (2, 0), (2, 1)])
def test_a_shared_positive_is_caught(splits, into, source):
    leaky = list(splits)
    leaky[into] = _leak(splits[into], splits[source], "edge_label_index")
    with pytest.raises(UserError, match=r"'i\d+' are in (train|valid) and in (va|te)"):
        check_split(*leaky)


def test_a_test_edge_in_training_everywhere_is_caught(splits):
    train = _leak(splits[0], splits[2], "edge_index")
    train = _leak(train, splits[2], "edge_label_index")
    parts = [train]
    for part in splits[1:]:
        part = copy.copy(part)
        part[INTERACTS].edge_index = train[INTERACTS].edge_index
        part[REV_INTERACTS].edge_index = train[REV_INTERACTS].edge_index
        parts.append(part)
    with pytest.raises(UserError, match="are in train and in test"):
        check_split(*parts)


def test_an_empty_part_is_caught(splits):
    val = copy.copy(splits[1])
    val[INTERACTS].edge_label_index = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(UserError, match="the valid split is empty"):
        check_split(splits[0], val, splits[2])


@pytest.mark.parametrize("name", ["time", "edge_label_time"])
def test_a_time_that_is_not_finite_is_named(name):
    data = from_interactions([0, 0], [0, 1])
    data[INTERACTS][name] = torch.tensor([0.0, float("nan")])
    with pytest.raises(UserError, match=rf"^{name}\[1\] is not finite - mend it"):
        validate(data)


def test_each_list_of_edges_and_each_matrix_is_checked_once(splits, monkeypatch):
    sorted_keys, looked_at = [], []
    sort, isfinite = np.sort, torch.Tensor.isfinite

    def counted(values, *args, **kwargs):
        sorted_keys.append(len(values))
        return sort(values, *args, **kwargs)

    def counted_isfinite(tensor):
        looked_at.append(len(tensor))
        return isfinite(tensor)

    monkeypatch.setattr(np, "sort", counted)
    monkeypatch.setattr(torch.Tensor, "isfinite", counted_isfinite)
    check_split(*splits)
    pairs = [part[INTERACTS].edge_label_index.size(1) for part in splits]
    train = splits[0][INTERACTS]
    again = [] if train.edge_index is train.edge_label_index else pairs[:1]
    assert sorted(sorted_keys) == sorted(pairs + again)
    names = [key for key in splits[0]["item"] if key.startswith("x_")]
    assert sum(looked_at) == sum(len(splits[0]["item"][name]) for name in names)


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_the_first_shared_number_equals_that_of_sets(one, other):
    arrays = [np.array(sorted(each), dtype=np.int64) for each in (one, other)]
    shared = one & other
    assert _first_shared(*arrays) == (min(shared) if shared else None)
