from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data import check_split, from_interactions, split_by_label
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS, REV_INTERACTS


def test_parts_hold_their_rows_and_only_training_edges():
    label = [0, 2, 1, 0, 0]
    data = from_interactions(
        list("aabba"),
        [0, 1, 2, 3, 4],
        features={"x": np.eye(5)},
        labels=label,
        timestamps=[10, 11, 12, 13, 14],
    )
    parts = split_by_label(data)
    check_split(*parts)
    for number, part in enumerate(parts):
        rows = [n for n, value in enumerate(label) if value == number]
        assert part[INTERACTS].edge_label_index[1].tolist() == rows
        assert part[INTERACTS].edge_label_time.tolist() == [10 + row for row in rows]
        assert part[INTERACTS].edge_index[1].tolist() == [0, 3, 4]
        assert part[INTERACTS].time.tolist() == [10, 13, 14]
        assert "split_label" not in part[INTERACTS]


def test_parts_share_storage_and_leave_the_catalogue_alone():
    data = from_interactions([0] * 3, range(3), features={"x": np.eye(3)})
    parts = split_by_label(data, [0, 1, 2])
    for part in parts:
        assert part["item"].x_x is data["item"].x_x
        assert part[INTERACTS].edge_index is parts[0][INTERACTS].edge_index
        assert part[REV_INTERACTS].edge_index is parts[0][REV_INTERACTS].edge_index
    assert data[INTERACTS].edge_index.size(1) == 3


def test_users_without_training_rows_are_dropped_and_counted():
    data = from_interactions([0, 0, 0, 1, 1], range(5), labels=[0, 1, 2, 2, 2])
    train, val, test = split_by_label(data)
    assert test[INTERACTS].edge_label_index.tolist() == [[0], [2]]
    assert (train.dropped_rows, val.dropped_rows, test.dropped_rows) == (0, 0, 2)
    assert test["user"].num_nodes == 2
    assert test["item"].num_nodes == 5


def test_an_empty_part_is_an_error():
    data = from_interactions([0, 0, 1], range(3), labels=[0, 1, 2])
    with pytest.raises(UserError, match=r"test split is empty .1 pairs dropped"):
        split_by_label(data)


def test_a_catalogue_without_labels_says_what_to_do():
    with pytest.raises(UserError, match="no split label - add a column 'split'"):
        split_by_label(from_interactions([0], [0]))


def test_other_labels_are_refused():
    with pytest.raises(ValueError, match=r"0, 1 or 2 .got \[0, 7\]"):
        split_by_label(from_interactions([0, 0], [0, 1]), [0, 7])
