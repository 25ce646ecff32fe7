from __future__ import annotations

import pytest
import torch

from mmgraph.functional import (
    Adjacency,
    map_unseen_scores,
    seen_items,
    top_unseen_items,
    unseen_scores,
)
from mmgraph.functional.block_sizes import BlockSize
from mmgraph.functional.recommend import unseen
from mmgraph.functional.recommend.unseen import mask_seen

NUM_ITEMS = 9
#: Items of each user: some, none, some, all.
HISTORY = [[4, 0, 7], [], [1, 2, 3, 8], list(range(NUM_ITEMS))]


@pytest.fixture
def history():
    pairs = [(i, u) for u, items in enumerate(HISTORY) for i in items]
    return Adjacency.from_edge_index(
        torch.tensor(pairs).T, num_src=NUM_ITEMS, num_dst=len(HISTORY)
    )


def factors(num_users, width=3, dtype=torch.float64):
    user = torch.randn(num_users, width, dtype=dtype, requires_grad=True)
    item = torch.randn(NUM_ITEMS, width, dtype=dtype, requires_grad=True)
    return user, item


def rows_in_loops(user, item, users):
    rows = []
    for x, u in zip(user, users, strict=True):
        row = [
            0.0 * (x * y).sum() if i in HISTORY[u] else (x * y).sum()
            for i, y in enumerate(item)
        ]
        length = sum(s * s for s in row).sqrt()
        rows.append(torch.stack([s / length for s in row]))
    return torch.stack(rows)


@pytest.mark.parametrize("users", [[2, 0, 2, 1], [1], [3, 1, 0]])
def test_rows_of_a_history_come_in_the_order_of_the_users(history, users):
    seen = seen_items(history, torch.tensor(users))
    assert (seen.num_dst, seen.num_src) == (len(users), NUM_ITEMS)
    found = seen.col.tensor_split(seen.rowptr[1:-1].long())
    assert [part.tolist() for part in found] == [sorted(HISTORY[u]) for u in users]


def test_scores_are_rows_of_length_one_without_the_seen_items(history):
    users = [2, 0, 1, 2]
    user, item = factors(4)
    mine = unseen_scores(user, item, seen_items(history, torch.tensor(users)))
    expected = rows_in_loops(user, item, users)
    torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-14)


def test_the_map_equals_the_map_of_the_rows_in_value_and_gradients(history):
    users = [2, 0, 1, 2]
    user, item = factors(4)
    table = torch.randn(NUM_ITEMS, 5, dtype=torch.float64, requires_grad=True)
    seen = seen_items(history, torch.tensor(users))
    mine = map_unseen_scores(user, item, seen, table)
    expected = rows_in_loops(user, item, users) @ table
    torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-13)
    weight = torch.randn(4, 5, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((mine * weight).sum(), (user, item, table)),
        torch.autograd.grad((expected * weight).sum(), (user, item, table)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_left_of_a_user_who_has_seen_everything(history, dtype):
    user, item = factors(2, dtype=dtype)
    user.data[1] = 0.0  # and nothing to go by
    seen = seen_items(history, torch.tensor([3, 1]))
    assert not unseen_scores(user, item, seen).any()
    table = torch.randn(NUM_ITEMS, 2, dtype=dtype)
    mapped = map_unseen_scores(user, item, seen, table)
    # What stays is the root of the rounding error.
    assert mapped.abs().max() < 100 * torch.finfo(dtype).eps ** 0.5
    for grad in torch.autograd.grad(mapped.sum(), (user, item)):
        assert grad.isfinite().all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_stays_of_users_who_have_seen_everything_knows_no_unit(history, scale):
    user, item = (x.detach().float() for x in factors(100))
    seen = seen_items(history, torch.full((100,), 3))
    mapped = map_unseen_scores(scale * user, item, seen, torch.randn(NUM_ITEMS, 2))
    assert mapped.abs().max() < 100 * torch.finfo(torch.float32).eps ** 0.5


@pytest.mark.parametrize("block", [1, 20, 10**6])
@pytest.mark.parametrize("k", [0, 1, 4, NUM_ITEMS + 2])
def test_the_best_unseen_items_are_those_of_a_sort(history, monkeypatch, k, block):
    monkeypatch.setattr(unseen, "USER_SCORES", BlockSize(block, block))
    user, item = (x.detach() for x in factors(4))
    found = top_unseen_items(user, item, history, k)
    assert found.shape == (4, k)
    scores = (user @ item.T).tolist()
    for u, row in enumerate(found.tolist()):
        left = [i for i in range(NUM_ITEMS) if i not in HISTORY[u]]
        best = sorted(left, key=lambda i, u=u: -scores[u][i])[:k]
        assert row == best + [-1] * (k - len(best))


def test_a_user_without_a_direction_prefers_nothing(history):
    user, item = torch.zeros(4, 3), torch.randn(NUM_ITEMS, 3)
    user[0] = 1.0
    found = top_unseen_items(user, item, history, 2)
    assert (found[0] >= 0).all()
    assert (found[1:] == -1).all()


def test_memory_grows_with_users_and_items_but_not_with_their_product(history):
    class Largest(torch.overrides.TorchFunctionMode):
        size = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.size = max(self.size, out.numel())
            return out

    users = torch.arange(400) % 3
    user, item = torch.randn(400, 3), torch.randn(NUM_ITEMS, 3)
    seen = seen_items(history, users)
    with Largest() as largest:
        map_unseen_scores(user, item, seen, torch.randn(NUM_ITEMS, 2))
    edges = int(seen.rowptr[-1])
    assert largest.size == max(400, NUM_ITEMS, edges) * 3 < 400 * NUM_ITEMS


def test_seen_items_and_no_others_lose_their_scores(history):
    users = torch.tensor([2, 0, 2])
    num_items = history.num_src
    scores = torch.ones(3, num_items)
    mask_seen(scores, history, users)
    seen = history.csr().to_dense()[users] != 0
    assert torch.equal(scores == float("-inf"), seen)
    assert torch.equal(scores[~seen], torch.ones(int((~seen).sum())))
