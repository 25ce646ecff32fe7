from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from mmgraph.functional.block_sizes import BlockSize
from mmgraph.serving.vector_files import VECTOR_FORMATS, best_items, write_ids
from mmgraph.serving.vectors import Vectors


@pytest.fixture
def vectors():
    draw = torch.Generator().manual_seed(0)
    return Vectors(
        np.array([7, -3]),
        np.array(["a,b", 'say "x"', "=1", "ä"]),
        torch.randn(2, 3, generator=draw),
        torch.randn(4, 3, generator=draw),
    )


@pytest.mark.parametrize("name", VECTOR_FORMATS)
def test_every_format_ranks_as_a_sort_of_all_products_does(vectors, name, tmp_path):
    kind = VECTOR_FORMATS[name]
    kind.write(tmp_path, vectors)
    ranked = kind.rank(tmp_path, vectors.user, 4)
    product = vectors.user.double() @ vectors.item.double().T
    assert ranked.tolist() == product.argsort(dim=1, descending=True).tolist()


def test_ids_of_every_kind_come_back(vectors, tmp_path):
    write_ids(tmp_path, vectors)
    items = pd.read_csv(tmp_path / "item_ids.csv")["item_id"]
    assert list(items) == list(vectors.item_ids)
    users = pd.read_csv(tmp_path / "user_ids.csv")["user_id"]
    assert list(users) == [7, -3]


def test_users_in_blocks_get_what_all_at_once_get(monkeypatch):
    draw = torch.Generator().manual_seed(1)
    user, item = torch.randn(9, 2, generator=draw), torch.randn(5, 2, generator=draw)
    whole = best_items(user, item, 3)
    monkeypatch.setattr(
        "mmgraph.serving.vector_files.RANKED_SCORES", BlockSize(2 * 5, 2 * 5)
    )
    assert best_items(user, item, 3).equal(whole)
