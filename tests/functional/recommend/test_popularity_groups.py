from __future__ import annotations

import pytest
import torch

from mmgraph.functional.recommend.popularity_groups import GROUPS, popularity_groups


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_those_of_a_sorted_list(seed):
    generator = torch.Generator().manual_seed(seed)
    degree = torch.randint(9, (53,), generator=generator)
    names = [GROUPS[group] for group in popularity_groups(degree).tolist()]
    alive = sorted((-n, each) for each, n in enumerate(degree.tolist()) if n)
    popular = {each for _, each in alive[: round(len(alive) / 5)]}
    for each, name in enumerate(names):
        if degree[each] == 0:
            assert name == "cold"
        else:
            assert name == ("popular" if each in popular else "warm")
