from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.functional.recommend.candidates import candidate_items, edges_of_candidates

DEGREE = torch.tensor([3, 0, 1, 0, 2])


@pytest.mark.parametrize("kind", ["all", "warm", "cold"])
@pytest.mark.parametrize("allow", [None, [4, 3, 0, 4]])
@pytest.mark.parametrize("deny", [None, [0, 1]])
def test_candidates_are_those_of_sets(kind, allow, deny):
    own = {"all": {0, 1, 2, 3, 4}, "warm": {0, 2, 4}, "cold": {1, 3}}[kind]
    own &= own if allow is None else set(allow)
    own -= set() if deny is None else set(deny)
    given = {n: torch.tensor(v) for n, v in [("allow", allow), ("deny", deny)] if v}
    found = candidate_items(DEGREE, kind, **given)
    assert list(range(5) if found is None else found.tolist()) == sorted(own)
    assert (found is None) == (len(own) == 5)


@pytest.mark.parametrize(
    ("degree", "choice", "message"),
    [
        (DEGREE, {"kind": "new"}, "candidates is 'new' - write all, warm, cold"),
        (torch.ones(2), {"kind": "cold"}, "no cold item: every item has training int"),
        (torch.zeros(2), {"kind": "warm"}, "no warm item: every item lacks training"),
        (DEGREE, {"deny": torch.arange(5)}, "no item may be recommended - allow more"),
    ],
)
def test_no_candidates_are_refused(degree, choice, message):
    with pytest.raises(UserError, match=message):
        candidate_items(degree, **choice)


def test_edges_are_renumbered_in_the_order_of_the_candidates():
    edges = torch.randint(6, (2, 50), generator=torch.Generator().manual_seed(0))
    candidates = torch.tensor([1, 2, 5])
    expected = [
        (user, [1, 2, 5].index(item))
        for user, item in edges.t().tolist()
        if item in (1, 2, 5)
    ]
    found = edges_of_candidates(edges, candidates, 6)
    assert list(map(tuple, found.t().tolist())) == expected
