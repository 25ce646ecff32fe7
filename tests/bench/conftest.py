from __future__ import annotations

import pytest

from mmgraph.data import synthetic


@pytest.fixture(scope="session")
def splits():
    *splits, _ = synthetic(num_users=60, num_items=50, interactions_per_user=12)
    return tuple(splits)
