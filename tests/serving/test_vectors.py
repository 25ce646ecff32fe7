from __future__ import annotations

import pytest

from mmgraph.data import load_dataset
from mmgraph.models import build_model, registry
from mmgraph.serving.vectors import ranks_by_inner_product


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_inner_products_rank_in_every_system_but_pamd(name):
    model = build_model(name, load_dataset("synthetic")[0])
    assert ranks_by_inner_product(model) is (name != "PAMD")
