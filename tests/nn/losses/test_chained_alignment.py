from __future__ import annotations

import pytest
import torch

from mmgraph.nn.losses import ChainedAlignmentLoss


def apply(layer, row):
    return [
        sum(w * x for w, x in zip(weights, row, strict=True)) + b
        for weights, b in zip(layer.weight, layer.bias, strict=True)
    ]


def nce(queries, keys, temperature):
    total = 0.0
    for b, query in enumerate(queries):
        logits = [
            sum(p * q for p, q in zip(query, key, strict=True)) / temperature
            for key in keys
        ]
        total = total - torch.log(logits[b].exp() / sum(x.exp() for x in logits))
    return total / len(queries)


def chain(loss, views, spaces):
    """``spaces``: which maps of the query, and which of the view, lead to each."""
    rows, total = list(views[0]), 0.0
    for (query_maps, view_map), view in zip(spaces, views[1:], strict=True):
        for index in query_maps:
            rows = [apply(loss.query[index], row) for row in rows]
        keys = [apply(loss.view[view_map], row) for row in view]
        total = total + nce(rows, keys, loss.temperature)
    return total


SPACES = {
    1: [([0], 0)],
    2: [([0], 0), ([1, 2], 1)],
    3: [([0], 0), ([1], 1), ([2], 2)],
    4: [([0], 0), ([1], 1), ([2], 2), ([3], 3)],
}


@pytest.mark.parametrize("count", SPACES)
def test_value_and_gradients_equal_loops_over_rows(count):
    loss = ChainedAlignmentLoss(count, 6, temperature=0.7).double()
    views = [
        torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
        for _ in range(count + 1)
    ]
    mine, other = loss(views), chain(loss, views, SPACES[count])
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)
    # A bias of the views' side shifts all logits of a row alike: its gradient is zero.
    inputs = [*views, *loss.parameters()]
    for a, b in zip(
        torch.autograd.grad(mine, inputs),
        torch.autograd.grad(other, inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("count", "widths"), [(1, [6]), (2, [6, 3]), (3, [6, 6, 3]), (4, [6, 6, 6, 3])]
)
def test_the_last_space_has_half_the_width(count, widths):
    loss = ChainedAlignmentLoss(count, 6, temperature=0.2)
    assert [linear.out_features for linear in loss.view] == widths
    assert loss.query[-1].out_features == widths[-1]


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"'num_modalities' must be at least 1"):
        ChainedAlignmentLoss(0, 6, 0.2)
    with pytest.raises(ValueError, match=r"'temperature' must be above 0 \(got 0\)"):
        ChainedAlignmentLoss(2, 6, 0)


def test_a_space_has_at_least_one_dimension():
    loss = ChainedAlignmentLoss(2, 1, temperature=0.2)
    assert [linear.out_features for linear in loss.view] == [1, 1]


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_views_is_refused(count):
    loss = ChainedAlignmentLoss(2, 6, temperature=0.2)
    with pytest.raises(ValueError, match="argument 3 is"):
        loss([torch.ones(5, 6)] * count)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_repeated_rows_may_be_given_once(modalities):
    loss = ChainedAlignmentLoss(modalities, 8, 0.2).double()
    views = [torch.randn(4, 8).double() for _ in range(modalities + 1)]
    index = torch.tensor([3, 0, 1, 3, 2, 3])
    found = loss(views, index)
    expected = loss([view[index] for view in views])
    torch.testing.assert_close(found, expected)
    parameters = list(loss.parameters())
    for mine, other in zip(
        torch.autograd.grad(found, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)
