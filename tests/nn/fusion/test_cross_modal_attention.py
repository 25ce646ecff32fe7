from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from mmgraph.nn.fusion import CrossModalAttention


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_every_head_weighs_whole_embeddings_by_a_softmax(num_modalities):
    fusion = CrossModalAttention(6, num_heads=2).double()
    views = [torch.randn(4, 6, dtype=torch.float64) for _ in range(num_modalities)]
    out = fusion(views)
    for node in range(4):
        x = [view[node] for view in views]
        q = [fusion.query.weight @ row for row in x]
        k = [fusion.key.weight @ row for row in x]
        total = 0.0
        for m in range(num_modalities):
            heads = []
            for part in (slice(0, 3), slice(3, 6)):
                dots = [(q[m][part] * other[part]).sum() for other in k]
                power = [torch.exp(dot / math.sqrt(3)) for dot in dots]
                share = [p / sum(power) for p in power]
                heads.append(sum(b * row for b, row in zip(share, x, strict=True)))
            total = total + fusion.combine.weight @ torch.cat(heads)
        torch.testing.assert_close(
            out[node], total / num_modalities, rtol=1e-11, atol=0
        )


def test_one_head_is_scaled_dot_product_attention_of_pytorch():
    fusion = CrossModalAttention(6, num_heads=1).double()
    views = [torch.randn(4, 6, dtype=torch.float64) for _ in range(3)]
    x = torch.stack(views, dim=1)
    attended = F.scaled_dot_product_attention(fusion.query(x), fusion.key(x), x)
    expected = fusion.combine(attended.mean(dim=1))
    torch.testing.assert_close(fusion(views), expected, rtol=1e-11, atol=1e-13)


def test_with_a_single_modality_query_and_key_rest():
    fusion = CrossModalAttention(6, num_heads=3)
    fusion([torch.randn(4, 6)]).sum().backward()
    assert not fusion.query.weight.grad.any()
    assert fusion.combine.weight.grad.any()


def test_heads_must_divide_the_dimension():
    with pytest.raises(ValueError, match=r"must divide the dimension 6 \(got 4\)"):
        CrossModalAttention(6, num_heads=4)


def test_repr_shows_width_and_heads():
    assert repr(CrossModalAttention(6, 2)) == "CrossModalAttention(6, num_heads=2)"
