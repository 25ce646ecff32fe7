from __future__ import annotations

import copy
from pathlib import Path

import pytest

from mmgraph.errors import UserError
from mmgraph.knn.jobs.manifest import check_manifest, flat, num_blocks

GOOD = {
    "input": {"rows": 5, "columns": 4, "dtype": "float32", "sha256": "ab"},
    "options": {"k": 1, "metric": "cosine", "include_self": False},
    "blocks": {"rows": 2, "count": 3},
}
BAD = (None, -1, 2.5, float("nan"), 10**30, "x", True, [1], {"a": [[]]})


def check(manifest):
    check_manifest(manifest, Path("w/manifest.json"), "build anew")


def test_what_is_complete_is_taken():
    check(GOOD)
    policies = {"nan": "refuse", "duplicates": "collapse"}
    check({**GOOD, "options": GOOD["options"] | policies, "versions": {"torch": "2"}})


@pytest.mark.parametrize("name", sorted(flat(GOOD)))
def test_each_value_is_checked(name):
    group, key = name.split(".")
    lacks = copy.deepcopy(GOOD)
    del lacks[group][key]
    with pytest.raises(UserError, match=rf"^w/manifest\.json: has no '{name}' - build"):
        check(lacks)
    of_the_type = {"input.dtype": ["x"], "input.sha256": ["x"]}
    of_the_type["options.include_self"] = [True]
    for value in BAD:
        if value in of_the_type.get(name, []):
            continue
        changed = copy.deepcopy(GOOD)
        changed[group][key] = value
        with pytest.raises(UserError, match=r"^w/manifest\.json: .* - build anew$"):
            check(changed)


def test_blocks_must_hold_the_rows_and_groups_be_groups():
    with pytest.raises(UserError, match="4 blocks do not hold 5 rows - build anew"):
        check({**GOOD, "blocks": {"rows": 2, "count": 4}})
    with pytest.raises(UserError, match="'versions' must be a table of values by name"):
        check({**GOOD, "versions": "2"})
    with pytest.raises(UserError, match=r"'versions\.torch' must be one plain value"):
        check({**GOOD, "versions": {"torch": [[2]]}})


def test_an_empty_matrix_has_one_block():
    assert [num_blocks(rows, 4) for rows in (0, 1, 4, 5)] == [1, 1, 1, 2]
