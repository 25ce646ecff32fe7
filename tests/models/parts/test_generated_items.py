from __future__ import annotations

import pytest
import torch

from mmgraph.models.parts.generated_items import GeneratedItems


def users_with_lists(generated):
    return sorted(set(generated.edge_index(0)[0].tolist()))


def lists_of(users):
    return torch.tensor([[[10 * u, 10 * u + 1] for u in users]])


def test_edges_are_the_entries_of_the_lists():
    generated = GeneratedItems(2, num_users=3, k=2)
    assert not generated.known
    assert generated.edge_index(1).shape == (2, 0)
    generated.replace(
        torch.tensor([[[4, 1], [0, -1], [-1, -1]], [[2, -1], [3, 4], [1, 0]]])
    )
    assert generated.known
    assert generated.edge_index(0).tolist() == [[0, 0, 1], [4, 1, 0]]
    assert generated.edge_index(1).tolist() == [[0, 1, 1, 2, 2], [2, 3, 4, 1, 0]]


@pytest.mark.parametrize(
    ("every", "expected"),
    # Users of a batch are its number; the graph that the next batches see.
    [
        (1, [None, [0], [], [], []]),
        (2, [None, None, [0, 1], [0, 1], [3]]),
        (3, [None, None, None, [0, 1, 2], [0, 1, 2]]),
    ],
)
def test_batches_that_refresh_take_over_what_was_collected_since(every, expected):
    generated = GeneratedItems(1, num_users=9, k=2, refresh_batches=every)
    for number, users in enumerate(expected):
        refreshed = generated.next_batch()
        assert refreshed == (number > 0 and number % every == 0)
        assert bool(generated.known) == (users is not None)
        if users is not None:
            assert users_with_lists(generated) == users
        if not refreshed:
            generated.collect(torch.tensor([number]), lists_of([number]))
    # The lists stay, what was collected does not.
    last = users_with_lists(generated)
    generated.start_epoch()
    assert not generated.next_batch()
    assert users_with_lists(generated) == last
    generated.collect(torch.tensor([7]), lists_of([7]))
    for _ in range(every - 1):
        generated.next_batch()
    assert generated.next_batch()
    assert users_with_lists(generated) == [7]
    assert generated.edge_index(0).tolist() == [[7, 7], [70, 71]]


def test_empty_lists_are_emptied_once():
    """What is built from the lists then stays, too."""
    generated = GeneratedItems(1, num_users=3, k=2, refresh_batches=1)
    seen = []
    for number in range(6):
        assert generated.next_batch() == (number > 0)
        seen.append(generated.lists._version)
        if number == 3:
            generated.load_state_dict(filled())
    assert seen[0] < seen[1] == seen[2] == seen[3] < seen[4] == seen[5]
    assert users_with_lists(generated) == []


def filled():
    generated = GeneratedItems(1, num_users=3, k=2)
    generated.replace(lists_of([0, 1, 2]))
    return generated.state_dict()


def test_the_lists_are_saved_with_the_model():
    generated, other = (GeneratedItems(1, num_users=2, k=2) for _ in range(2))
    generated.replace(lists_of([0, 1]))
    other.load_state_dict(generated.state_dict())
    assert other.known
    assert torch.equal(other.edge_index(0), generated.edge_index(0))


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"'k' must be at least 0 \(got -1\)"):
        GeneratedItems(1, 2, k=-1)
    with pytest.raises(
        ValueError, match=r"'refresh_batches' must be at least 1 \(got 0"
    ):
        GeneratedItems(1, 2, k=1, refresh_batches=0)


def test_repr_shows_the_sizes():
    expected = "GeneratedItems(1, 2, 3, refresh_batches=4)"
    assert repr(GeneratedItems(1, 2, 3, 4)) == expected
