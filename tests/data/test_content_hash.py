from __future__ import annotations

import copy

import pytest
import torch

from mmgraph.data import fingerprint, synthetic
from mmgraph.schema import INTERACTS, SIMILAR


@pytest.fixture(scope="module")
def splits():
    return synthetic(num_users=20, num_items=60)[:3]


def _changed(data, node, key, place):
    data = copy.deepcopy(data)
    value = data[node][key]
    value[place] = ~value[place] if value.dtype == torch.bool else value[place] + 1
    return data


@pytest.mark.parametrize(
    ("node", "key", "place"),
    [
        ("item", "x_visual", (7, 3)),
        ("item", "mask_textual", 5),
        (INTERACTS, "edge_index", (0, 2)),
        (INTERACTS, "edge_label_index", (1, 4)),
    ],
)
def test_one_changed_value_changes_it(splits, node, key, place):
    before = fingerprint(*splits)
    assert fingerprint(_changed(splits[0], node, key, place), *splits[1:]) != before


def test_an_id_changes_it(splits):
    other = copy.deepcopy(splits[0])
    other["user"].raw_id[0] = "x"
    assert fingerprint(other) != fingerprint(splits[0])


def test_derived_graphs_and_device_copies_do_not(splits):
    other = copy.deepcopy(splits[0])
    other[SIMILAR].edge_index = torch.zeros(2, 1, dtype=torch.long)
    assert fingerprint(other) == fingerprint(splits[0])


def test_the_parts_do_not_stand_for_each_other(splits):
    train, val, test = splits
    assert fingerprint(train, val, test) != fingerprint(train, test, val)
