from __future__ import annotations

import math

import numpy as np
import pytest

from mmgraph.data import (
    SPLITS,
    check_split,
    from_interactions,
    leave_one_out,
    split_cold_items,
    split_dataset,
    split_none,
    split_per_user,
    split_temporal,
)
from mmgraph.errors import UserError
from mmgraph.schema import INTERACTS

COUNTS = [1, 2, 3, 5, 9, 10, 11, 14, 15, 19, 20, 25, 33, 50]


def catalogue(seed=0):
    """Users with the counts above, rows shuffled by the seed, one time per pair."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(len(COUNTS)), COUNTS)
    item = np.concatenate([rng.permutation(60)[:count] for count in COUNTS])
    time = rng.integers(0, 40, size=len(user))
    order = np.random.default_rng(seed).permutation(len(user))
    return from_interactions(
        user[order],
        item[order],
        users=range(len(COUNTS)),
        items=range(60),
        labels=(np.arange(len(user)) % 3)[order],
        timestamps=time[order],
    )


def pairs(data):
    return set(map(tuple, data[INTERACTS].edge_label_index.T.tolist()))


@pytest.mark.parametrize("name", SPLITS)
def test_every_split_is_sound_and_does_not_depend_on_the_row_order(name):
    one, other = (split_dataset(catalogue(seed), name, seed=3) for seed in (0, 1))
    check_split(*one, held_out=name != "none")
    assert [pairs(part) for part in one] == [pairs(part) for part in other]
    kept = sum(len(pairs(part)) + part.dropped_rows for part in one)
    assert kept == sum(COUNTS)


@pytest.mark.parametrize("name", ["per_user", "cold_items"])
def test_another_seed_is_another_split(name):
    one, other = (split_dataset(catalogue(), name, seed=seed) for seed in (0, 1))
    assert pairs(one[2]) != pairs(other[2])


def test_per_user_counts_follow_the_rule():
    parts = split_per_user(catalogue())
    counts = np.array(
        [
            np.bincount(part[INTERACTS].edge_label_index[0], minlength=len(COUNTS))
            for part in parts
        ]
    )
    for user, n in enumerate(COUNTS):
        if n < 3:
            expected = [n, 0, 0]
        elif n < 10:
            expected = [n - 2, 1, 1]
        else:
            held = math.floor(n / 5)
            expected = [n - held, held // 2, held - held // 2]
        assert counts[:, user].tolist() == expected, n


def test_per_user_holds_out_every_row_alike():
    item = np.arange(10)
    data = from_interactions(np.zeros(10, int), item)
    held = np.zeros(10)
    for seed in range(400):
        held[split_per_user(data, seed=seed)[2][INTERACTS].edge_label_index[1]] += 1
    # Binomial(400, 1/10): mean 40, sd 6; 4.5 sd over ten counts, fixed seeds.
    assert np.abs(held - 40).max() < 27


def test_temporal_trains_on_the_past_only():
    data = catalogue()
    train, val, test = split_temporal(data, valid=0.2, test=0.2)
    times = [part[INTERACTS].edge_label_time for part in (train, val, test)]
    assert times[0].max() < times[1].min()
    assert times[1].max() < times[2].min()
    ordered = np.sort(data[INTERACTS].time.numpy())
    assert times[2].min() == ordered[len(ordered) - round(0.2 * len(ordered))]


def test_temporal_needs_timestamps():
    with pytest.raises(UserError, match="no timestamps - add a column 'timestamp'"):
        split_temporal(from_interactions([0], [0]))


def test_temporal_with_one_instant_has_nothing_to_train_on():
    data = from_interactions([0] * 9, range(9), timestamps=[5] * 9)
    with pytest.raises(UserError, match="train split is empty"):
        split_temporal(data)


def test_leave_one_out_takes_the_last_by_time():
    data = from_interactions(
        [0] * 4 + [1] * 2, [0, 1, 2, 3, 0, 1], timestamps=[7, 9, 1, 8, 1, 2]
    )
    train, val, test = leave_one_out(data)
    assert pairs(test) == {(0, 1)}
    assert pairs(val) == {(0, 3)}
    assert pairs(train) == {(0, 0), (0, 2), (1, 0), (1, 1)}


def test_leave_one_out_without_times_is_random_and_one_each():
    data = from_interactions([0] * 6 + [1] * 6, [*range(6)] * 2)
    seen = set()
    for seed in range(20):
        _, val, test = leave_one_out(data, seed=seed)
        assert val[INTERACTS].edge_label_index[0].tolist() == [0, 1]
        assert test[INTERACTS].edge_label_index[0].tolist() == [0, 1]
        seen |= pairs(test)
    assert len(seen) > 8


def test_cold_items_never_occur_in_training():
    train, val, test = split_cold_items(catalogue(), valid=0.1, test=0.2)
    items = [set(p[INTERACTS].edge_label_index[1].tolist()) for p in (train, val, test)]
    assert not items[0] & items[1]
    assert not items[0] & items[2]
    assert not items[1] & items[2]
    assert len(items[2]) == 12
    assert len(items[1]) == 6


def test_none_holds_nothing_out_and_only_where_it_was_asked_for():
    train, val, test = split_none(catalogue())
    assert pairs(train) == pairs(split_dataset(catalogue(), "none")[0])
    assert len(pairs(train)) == sum(COUNTS)
    assert pairs(val) == pairs(test) == set()
    with pytest.raises(UserError, match="the valid split is empty - use another"):
        check_split(train, val, test)


def test_an_unknown_split_lists_the_choices():
    with pytest.raises(UserError, match="unknown split 'time' - choose among label"):
        split_dataset(catalogue(), "time")


@pytest.mark.parametrize("split", [split_temporal, split_cold_items])
def test_impossible_shares_are_refused(split):
    with pytest.raises(ValueError, match=r"sum < 1 .got 0.5, 0.6"):
        split(catalogue(), valid=0.5, test=0.6)
