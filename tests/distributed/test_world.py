from __future__ import annotations

import pytest

from mmgraph.distributed.world import World, processes_here, world


@pytest.mark.parametrize("multiple", [1, 3, 4])
@pytest.mark.parametrize("total", [0, 1, 5, 12, 13])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_all_rows_once_and_in_order(count, total, multiple):
    shares = [World(rank, count).share(total, multiple) for rank in range(count)]
    rows = [row for share in shares for row in range(total)[share]]
    assert rows == list(range(total))
    assert all(share.start % multiple == 0 or share.start == total for share in shares)
    sizes = [share.stop - share.start for share in shares]
    assert World(0, count).sizes(total, multiple) == sizes
    blocks = [-(-size // multiple) for size in sizes]
    assert max(blocks) - min(blocks) <= 1


def test_the_first_writes():
    assert World(0, 2).is_first
    assert not World(1, 2).is_first


def test_alone(monkeypatch):
    assert world() == (0, 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert processes_here() == 4
