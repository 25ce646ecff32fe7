from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from mmgraph.knn.metric.similarity import pair_similarity
from mmgraph.knn.rows.row_norms import row_norms


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("cosine", lambda a, b: 1 - distance.cosine(a, b)),
        ("ip", np.dot),
        ("l2", lambda a, b: -distance.sqeuclidean(a, b)),
    ],
)
def test_equals_scipy_in_float64(metric, reference):
    x = torch.randn(20, 7)
    row, col = torch.randint(0, 20, (2, 50))
    got = pair_similarity(x, row, col, metric=metric, norm=row_norms(x))
    wide = x.double().numpy()
    want = [reference(wide[i], wide[j]) for i, j in zip(row, col, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_value_does_not_depend_on_the_batch():
    x = torch.randn(300, 1000)
    row, col = torch.randint(0, 300, (2, 4000))
    together = pair_similarity(x, row, col, metric="ip", norm=row_norms(x))
    for i in range(0, 4000, 371):
        alone = pair_similarity(
            x, row[i : i + 1], col[i : i + 1], metric="ip", norm=row_norms(x)
        )
        assert torch.equal(alone[0], together[i])


def test_integer_ties_are_exact():
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, -1.0], [3.0, 3.0, -3.0]])
    norm = row_norms(x)
    zero = torch.tensor([0, 0])
    got = pair_similarity(x, zero, torch.tensor([1, 2]), metric="cosine", norm=norm)
    assert got.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_rows_of_two_matrices_have_the_similarity_of_one_bit_for_bit(metric):
    x = torch.randn(50, 7)
    norm = row_norms(x)
    row, col = torch.randint(20, (3000,)), torch.randint(30, (3000,))
    got = pair_similarity(
        x[:20], row, col, metric=metric, norm=norm[:20], others=(x[20:], norm[20:])
    )
    want = pair_similarity(x, row, col + 20, metric=metric, norm=norm)
    assert torch.equal(got, want)
