"""A contrast with distinct candidates against one with all of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional.distinct_candidates import contrast_with_distinct


@pytest.mark.parametrize("match", [[0, 1, 2, 3, 4], [3, 0, 3, 3, 1, 4, 2, 1], [0] * 6])
@pytest.mark.parametrize("temperature", [0.2, 2.0])
def test_value_and_gradients_equal_repeated_rows(match, temperature) -> None:
    torch.manual_seed(0)
    place = torch.tensor(match)
    inputs = torch.randn(len(match), 3).double(), torch.randn(max(match) + 1, 3)
    inputs = [x.double() for x in inputs]
    found = [x.clone().requires_grad_() for x in inputs]
    loss = contrast_with_distinct(*found, place, temperature)
    loss.backward()
    dense = [x.clone().requires_grad_() for x in inputs]
    logits = dense[0] @ dense[1][place].T / temperature
    expected = F.cross_entropy(logits, torch.arange(len(match)))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for mine, other in zip(found, dense, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
