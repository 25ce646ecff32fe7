from __future__ import annotations

import pytest

from mmgraph.knn.jobs.block_plan import BlockPlan, parse_bytes, plan_blocks


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ("500MB", 500_000_000),
        ("2gb", 2_000_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("4G", 4_000_000_000),
        ("700 KiB", 716_800),
        ("1000b", 1000),
        (12345, 12345),
    ],
)
def test_sizes_as_people_write_them(size, want):
    assert parse_bytes(size) == want


@pytest.mark.parametrize(
    "size",
    ["", "lots", "-3GB", "0", "1.2.3GB", "5XB", 0, "9" * 5000, "\u0663GB", "nan"],
)
def test_other_words_are_refused(size):
    with pytest.raises(
        ValueError, match=r"ram must be a size such as '500MB' or '2GB'"
    ):
        parse_bytes(size)


@pytest.mark.parametrize("dim", [16, 768, 16_384])
@pytest.mark.parametrize("ram", ["500MB", "2GB", "8GB"])
def test_what_is_held_at_once_stays_in_the_budget(ram, dim):
    """Rows as stored twice, float32 products, lists of twelve with ids."""
    num_rows, length = 10**6, 11
    plan = plan_blocks((num_rows, dim), 4, length, ram=ram)
    centres = plan.centre_rows * (3 * 4 * dim + length * (8 + 4 + 4))
    neighbours = plan.neighbour_rows * (3 * 4 * dim + 8 * 4)
    held = 272 * 2**20 + 112 * 2**20 + centres + neighbours + 16 * num_rows
    assert held <= parse_bytes(ram)
    assert plan.centre_rows >= 64


def test_digests_of_a_long_table_are_in_the_budget():
    shape = (10**7, 16)
    assert plan_blocks(shape, 4, 10, ram="700MB").centre_rows > 0
    with pytest.raises(ValueError, match=r"ram must be at least 1043 MB for 10000000 "):
        plan_blocks(shape, 4, 10, ram="700MB", digests=True)
    plans = [plan_blocks(shape, 4, 10, ram="1100MB", digests=d) for d in (False, True)]
    assert plans[0] == plans[1]


def test_a_small_table_is_one_block():
    assert plan_blocks((40, 8), 4, 10, ram="2GB") == BlockPlan(40, 40)
    assert plan_blocks((0, 8), 4, 10, ram="2GB") == BlockPlan(1, 1)


def test_a_budget_below_the_least_says_what_is_needed():
    with pytest.raises(ValueError, match=r"at least \d+ MB for 10000 rows of 9 values"):
        plan_blocks((10_000, 9), 4, 10, ram="300MB")
    try:
        plan_blocks((10_000, 9), 4, 10, ram="300MB")
    except ValueError as error:
        enough = str(error).split()[5]
    assert plan_blocks((10_000, 9), 4, 10, ram=f"{enough}MB").centre_rows >= 16
