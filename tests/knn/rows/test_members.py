from __future__ import annotations

import torch

from mmgraph.knn.rows.members import Members


def test_the_first_ids_of_a_group_are_those_of_a_loop():
    group = torch.cat([torch.arange(7), torch.randint(7, (60,))])
    id = torch.randperm(900)[: len(group)].sort().values
    wanted = torch.randint(7, (40,))
    for most in (1, 4, 100):
        count, got = Members.of(group, id).first(wanted, most)
        lists = [id[group == g].tolist()[:most] for g in wanted.tolist()]
        assert count.tolist() == [len(some) for some in lists]
        assert got.tolist() == [one for some in lists for one in some]


def test_rows_that_are_all_distinct_stay_as_they_are():
    members = Members.of(torch.arange(5), torch.tensor([3, 4, 8, 9, 11]))
    assert members.id.tolist() == [3, 4, 8, 9, 11]
    assert members.begin.tolist() == [0, 1, 2, 3, 4]
    assert members.size.tolist() == [1] * 5


def test_positions_are_the_ids_where_none_are_given():
    group = torch.tensor([0, 1, 0, 2, 1])
    assert Members.of(group).id.tolist() == [0, 2, 1, 4, 3]
