from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.loader.utils import index_select

from mmgraph.data import from_interactions, ids_to_index
from mmgraph.data.ids import (
    as_ids,
    check_distinct,
    code_ids,
    distinct,
    first_duplicate,
    match_ids,
    original_ids,
    pair_keys,
    union_ids,
)
from mmgraph.errors import UserError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([3, 1], "i"),
        (torch.tensor([3, 1]), "i"),
        (np.array([3, 1], dtype=np.uint64), "i"),
        (pd.Series(["3", "x"]), "U"),
        (np.array([3, 1], dtype=object), "i"),
    ],
)
def test_ids_become_int64_or_strings(values, kind):
    assert as_ids(values).dtype.kind == kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["a", None], dtype=object), "position 1 is missing"),
        ([0.5], "neither 64-bit integers nor strings .got float64"),
        (np.array([2**64 - 1], dtype=np.uint64), "got uint64"),
        (torch.ones(2, dtype=torch.bfloat16), "got bfloat16"),  # NumPy has none
    ],
)
def test_other_ids_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        as_ids(values)


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5), unique=True))
def test_matching_equals_a_loop_also_across_spellings(ids, known):
    expected = [known.index(i) if i in known else -1 for i in ids]
    known, ids = as_ids(known), as_ids(ids)
    assert match_ids(known, ids).tolist() == expected
    assert match_ids(known, ids.astype(str)).tolist() == expected


def test_raw_id_and_ids_to_index_are_inverse():
    data = from_interactions(["b", "a", "c"], [9, 3, 5])
    for kind in ("user", "item"):
        back = ids_to_index(data, kind, data[kind].raw_id)
        assert back.tolist() == list(range(data[kind].num_nodes))


def test_an_unknown_id_is_named():
    data = from_interactions(["b", "a"], [9, 3])
    with pytest.raises(UserError, match="unknown item id 4 - use"):
        ids_to_index(data, "item", [9, 4])


def test_ids_that_stand_twice_are_named_with_file_and_rows():
    check_distinct(np.array(["a", "b"]), "x.npz")
    check_distinct(np.array([], dtype=np.int64), "x.npz")
    message = (
        r"^x\.npz: item id 'b' stands at rows 1 and 3 \(counted from 0\) - keep one"
    )
    with pytest.raises(UserError, match=message):
        check_distinct(np.array(["a", "b", "c", "b", "a"]), "x.npz")


@pytest.mark.parametrize("ids", [["a", "bcd", "é漢", ""], [7, -3, 2**40, 0]])
def test_ids_survive_the_slicing_of_pyg_and_are_found_again(ids):
    users = [f"u{i}" for i in range(len(ids))]
    data = from_interactions(users, ids, items=ids)
    index = torch.tensor([3, 1])
    batch = copy.copy(data)
    batch["item"].num_nodes = 2
    batch["item"].raw_id = index_select(data["item"].raw_id, index)
    assert isinstance(batch["item"].raw_id, torch.Tensor)
    assert original_ids(batch["item"].raw_id).tolist() == [ids[i] for i in index]
    assert ids_to_index(batch, "item", [ids[1], ids[3]]).tolist() == [1, 0]
    assert original_ids(data["item"].raw_id).tolist() == ids
    with pytest.raises(UserError, match="unknown item id"):
        ids_to_index(batch, "item", [ids[2]])


def test_ids_stay_an_ordinary_array_for_all_others():
    ids = from_interactions(["b", "a"], ["x", "y"])["user"].raw_id
    assert isinstance(ids, np.ndarray)
    assert ids.take([1, 0]).tolist() == np.take(ids, np.array([1, 0])).tolist()
    assert copy.deepcopy(ids).tolist() == ids[:].tolist() == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1))
def test_keys_invert(pairs):
    user, item = np.array(pairs).T
    keys = pair_keys(user, item, 7)
    assert [divmod(int(key), 7) for key in keys] == pairs


def test_keys_do_not_overflow_int32():
    keys = pair_keys(np.array([2**20], np.int32), np.array([5], np.int32), 2**20)
    assert keys[0] == 2**40 + 5


@given(st.lists(st.integers(0, 5)))
def test_first_duplicate_equals_a_loop(values):
    expected = None
    for again, value in enumerate(values):
        if value in values[:again]:
            expected = (values.index(value), again)
            break
    assert first_duplicate(np.array(values, dtype=np.int64)) == expected


@given(
    st.lists(st.lists(st.integers(-12, 12), min_size=1), min_size=1),
    st.sets(st.integers(0, 3)),
)
def test_the_union_is_sorted_by_one_rule_for_mixed_kinds(parts, spelled):
    """A loop over Python's own integers and strings."""
    arrays, mixed = [], set()
    for number, part in enumerate(parts):
        kind = str if number in spelled else int
        mixed.add(kind)
        arrays.append(as_ids([kind(value) for value in part]))
    kind = int if mixed == {int} else str
    expected = sorted({kind(value) for part in parts for value in part})
    assert union_ids(arrays).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        ["a", "a\0"],
        pd.Series(["a", "a\0"]),
        np.array(["a", "a\0"], dtype=object),
        np.array(["a", "a\0b"]),
    ],
)
def test_ids_with_nul_are_refused_before_numpy_merges_them(values):
    with pytest.raises(UserError, match="id at position 1 holds the character NUL - t"):
        as_ids(values)


@pytest.mark.parametrize("value", [None, float("nan"), True, b"a", 0.5])
def test_a_list_of_several_kinds_is_not_spelled_out(value):
    with pytest.raises(UserError, match=r"position 1( is missing|\))"):
        as_ids(["a", value])


@given(st.lists(st.one_of(st.integers(-9, 9), st.sampled_from(["a", "b", "\ud800"]))))
def test_coded_ids_are_the_ids_and_their_names_ascend(values):
    ids = as_ids(values)
    names, code = code_ids(ids)
    assert names[code].tolist() == ids.tolist()
    assert names.tolist() == sorted(set(ids.tolist())) == distinct(ids).tolist()
    assert code.dtype == np.int64
