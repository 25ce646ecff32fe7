from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.data import from_interactions
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, REV_INTERACTS, modalities


def test_users_come_first_and_edges_point_at_the_given_ids():
    data = from_interactions(["b", "a", "b"], [30, 10, 10])
    assert data.node_types == ["user", "item"]
    user, item = data[INTERACTS].edge_index.numpy()
    assert data["user"].raw_id[user].tolist() == ["b", "a", "b"]
    assert data["item"].raw_id[item].tolist() == [30, 10, 10]
    assert torch.equal(data[REV_INTERACTS].edge_index[0], data[INTERACTS].edge_index[1])
    assert data.validate()


def test_rows_without_ids_are_item_ids():
    x = np.arange(8.0).reshape(4, 2)
    data = from_interactions([0, 0], [3, 1], features={"depth": x})
    assert data["item"].num_nodes == 4
    assert data["item"].x_depth.tolist() == x.tolist()
    assert "mask_depth" not in data["item"]


def test_rows_follow_the_ids_of_the_features():
    data = from_interactions(
        ["u", "u"],
        ["b", "c"],
        features={"visual": [[1.0], [2.0], [3.0]]},
        feature_ids={"visual": ["c", "a", "zz"]},
        items=["a", "b", "c"],
    )
    assert data["item"].x_visual.flatten().tolist() == [2.0, 0.0, 1.0]
    assert data["item"].mask_visual.tolist() == [True, False, True]


def test_a_mask_follows_its_rows():
    data = from_interactions(
        [0],
        [5],
        features={"visual": [[1.0], [2.0]]},
        feature_ids={"visual": [7, 5]},
        masks={"visual": [False, True]},
    )
    assert data["item"].mask_visual.tolist() == [True, False]


def test_half_precision_is_widened_and_the_input_left_alone():
    x = np.full((2, 1), 60_000, np.float16)
    data = from_interactions([0, 0], [0, 1], features={"a": x})
    assert data["item"].x_a.sum() == 120_000
    data["item"].x_a.zero_()
    assert x[0, 0] == np.float16(60_000)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_any_number_of_modalities(count):
    names = [f"m{n}" for n in range(count)]
    data = from_interactions([0], [0], features={n: [[1.0]] for n in names})
    assert modalities(data) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": {"a": [[1.0]]}}, "item ids are not row numbers"),
        ({"features": {"a": [[1.0]]}, "items": ["x", "y"]}, "1 rows for 2 items"),
        (
            {"features": {"a": [[1.0]]}, "feature_ids": {"a": ["x", "y"]}},
            "1 rows and 2 ids",
        ),
        (
            {"features": {"a": [[1.0], [2.0]]}, "feature_ids": {"a": ["x", "x"]}},
            "a features: item id 'x' stands at rows 0 and 1 .* keep one row per item",
        ),
        ({"items": ["x"]}, "item id 'y' of interaction 1 is not among the items"),
        ({"users": ["v"]}, "user id 'u' of interaction 0"),
        ({"users": ["u", "u"]}, "user id 'u' stands at rows 0 and 1"),
        (
            {"features": {"a": [[1.0], [np.nan]]}, "items": ["x", "y"]},
            "row 1 of the a features holds NaN",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        from_interactions(["u", "u"], ["x", "y"], **options)


def test_a_doubled_pair_is_named():
    message = r"^user 'u' and item 'x' stand in edge_index twice .positions 0 and 2"
    with pytest.raises(UserError, match=message):
        from_interactions(["u", "v", "u"], ["x", "x", "x"])


def test_an_item_without_a_row_is_named():
    with pytest.raises(UserError, match="item id 2 has no row among the 2"):
        from_interactions([0], [2], features={"a": [[1.0], [2.0]]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [0]}, "one split_label per interaction"),
        ({"masks": {"b": [True]}}, "no features of modality 'b'"),
        ({"features": {"a": [1.0, 2.0]}}, "two-dimensional"),
    ],
)
def test_wrong_arguments_are_value_errors(options, message):
    with pytest.raises(ValueError, match=message):
        from_interactions([0, 0], [0, 1], **options)


def test_dates_of_the_api_are_nanoseconds_and_missing_ones_are_refused():
    days = np.array(["2020-01-01", "2020-01-02"], "M8[D]")
    data = from_interactions([0, 0], [0, 1], timestamps=days)
    start = 1_577_836_800 * 10**9
    assert data[INTERACTS].time.tolist() == [start, start + 86_400 * 10**9]
    for lost in (np.array([1.0, np.nan]), np.array(["2020", "NaT"], "M8[s]")):
        with pytest.raises(UserError, match=r"^timestamp 1 .counted from 0. is "):
            from_interactions([0, 0], [0, 1], timestamps=lost)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["train", "test"]}, "labels are <U5 - write 0 .train., 1"),
        (
            {"features": {"a": [[1j], [2j]]}},
            "a features are no matrix of numbers .got c",
        ),
        ({"features": {"a": [["x"], ["y"]]}}, "a features are no matrix of numbers"),
    ],
)
def test_what_is_no_number_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        from_interactions([0, 0], [0, 1], **options)
