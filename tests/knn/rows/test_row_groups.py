from __future__ import annotations

import torch

from mmgraph.knn.rows.row_groups import RowGroups


def test_the_first_ids_of_a_group_are_those_of_a_loop():
    group = torch.cat([torch.arange(7), torch.randint(7, (60,))])
    id = torch.randperm(900)[: len(group)].sort().values
    some = torch.randint(7, (40,))
    for most in (1, 4, 100):
        count, got = RowGroups.of(group, id).members(some, most)
        lists = [id[group == g].tolist()[:most] for g in some.tolist()]
        assert count.tolist() == [len(ids) for ids in lists]
        assert got.tolist() == [one for ids in lists for one in ids]


def test_rows_that_are_all_distinct_stay_as_they_are():
    groups = RowGroups.of(torch.arange(5), torch.tensor([3, 4, 8, 9, 11]))
    assert groups.id.tolist() == [3, 4, 8, 9, 11]
    assert groups.begin.tolist() == [0, 1, 2, 3, 4]
    assert groups.size.tolist() == [1] * 5


def test_positions_are_the_ids_where_none_are_given():
    group = torch.tensor([0, 1, 0, 2, 1])
    assert RowGroups.of(group).id.tolist() == [0, 2, 1, 4, 3]


def test_groups_of_some_rows_have_their_numbers():
    x = torch.tensor([[1.0], [0.0], [2.0], [1.0], [2.0], [5.0]])
    groups = RowGroups.find(x, torch.tensor([0, 2, 3, 4, 5]))
    assert groups.group.tolist() == [0, 1, 0, 1, 2]
    assert groups.first.tolist() == [0, 2, 5]
    assert (groups.id.tolist(), groups.size.tolist()) == ([0, 3, 2, 4, 5], [2, 2, 1])
    assert len(groups) == 3
