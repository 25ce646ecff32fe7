from __future__ import annotations

import pytest
import torch

from mmgraph.models.parts.regularize import embedding_penalty


@pytest.fixture
def rows():
    return [torch.randn(5, 3, dtype=torch.float64, requires_grad=True) for _ in "upq"]


def test_paper_is_half_the_squared_norm_per_triple(rows):
    per_triple = [
        sum(0.5 * float(v) ** 2 for x in rows for v in x[b].tolist()) for b in range(5)
    ]
    value = embedding_penalty("paper", *rows)
    assert value.item() == pytest.approx(sum(per_triple) / 5, rel=1e-12)


def test_released_is_the_unsquared_norm_of_the_whole_batch(rows):
    norms = [sum(float(v) ** 2 for v in x.flatten().tolist()) ** 0.5 for x in rows]
    value = embedding_penalty("released", *rows)
    assert value.item() == pytest.approx(sum(norms) / 5, rel=1e-12)


def test_a_gradient_of_released_has_one_size_whatever_the_vectors(rows):
    for scale in (1e-3, 1e3):
        (grad,) = torch.autograd.grad(
            embedding_penalty("released", scale * rows[0]), rows[0]
        )
        assert (grad / scale).norm().item() == pytest.approx(1 / 5, rel=1e-12)


def test_a_short_last_batch_divides_by_its_own_rows(rows):
    whole = embedding_penalty("paper", *rows) * 5
    parts = [
        embedding_penalty("paper", *(x[s] for x in rows)) * size
        for s, size in ((slice(0, 3), 3), (slice(3, 5), 2))
    ]
    torch.testing.assert_close(parts[0] + parts[1], whole, rtol=1e-12, atol=0)
