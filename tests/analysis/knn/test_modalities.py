from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mmgraph.analysis.knn.modalities import match_modalities, matrix_digest
from mmgraph.data import GraphFile
from mmgraph.errors import UserError
from mmgraph.knn.rows.row_source import RowSource

A, B = Path("a.npy"), Path("b.npy")


def test_names_need_not_agree_where_there_is_one_of_each():
    one, two = GraphFile(1, None, {"v": None}), GraphFile(1, None, {"v": None, "t": 0})
    assert match_modalities({"a": A}, one, "g") == {"v": A}
    assert match_modalities({"t": A}, two, "g") == {"t": A}
    assert match_modalities({"t": A, "v": B}, two, "g", all_of_them=True) == {
        "t": A,
        "v": B,
    }
    with pytest.raises(UserError, match=r"a\.npy: no graph of 'a' in g \(it has v, t"):
        match_modalities({"a": A}, two, "g")
    with pytest.raises(UserError, match="g has graphs of v, t, the files are of t -"):
        match_modalities({"t": A}, two, "g", all_of_them=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_digest_is_that_of_shape_and_bytes(dtype):
    x = np.random.default_rng(0).normal(size=(70_000, 2)).astype(dtype)
    want = hashlib.sha256(np.array(x.shape, "<i8").tobytes() + x.tobytes()).hexdigest()
    assert matrix_digest(x) == want
    rows = RowSource(x)[0 : len(x)].numpy()
    assert matrix_digest(rows) == want
