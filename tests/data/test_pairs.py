from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmgraph.data.pairs import first_duplicate, pair_keys


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1))
def test_keys_invert(pairs):
    user, item = np.array(pairs).T
    keys = pair_keys(user, item, 7)
    assert [divmod(int(key), 7) for key in keys] == pairs


def test_keys_do_not_overflow_int32():
    keys = pair_keys(np.array([2**20], np.int32), np.array([5], np.int32), 2**20)
    assert keys[0] == 2**40 + 5


@given(st.lists(st.integers(0, 5)))
def test_first_duplicate_equals_a_loop(values):
    expected = None
    for again, value in enumerate(values):
        if value in values[:again]:
            expected = (values.index(value), again)
            break
    assert first_duplicate(np.array(values, dtype=np.int64)) == expected
