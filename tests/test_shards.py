from __future__ import annotations

import pytest

from mmgraph.errors import UserError
from mmgraph.shards import parse_shard


def test_a_share_and_how_many_there_are():
    assert parse_shard("1/1") == (1, 1)
    assert parse_shard("12/120") == (12, 120)


@pytest.mark.parametrize(
    "shard", ["", "1", "0/2", "3/2", "-1/2", "1/2/3", "1 / 2", "a/b", "٣/٤", "1/2\n"]
)
def test_what_is_none_is_refused(shard):
    with pytest.raises(UserError, match=r"no such shard.* - write i/n with i from 1"):
        parse_shard(shard)
