from __future__ import annotations

import math

import pytest
import torch

from mmgraph.knn import knn_graph
from mmgraph.knn.rows.row_groups import RowGroups
from mmgraph.knn.search.running_top_k import NOBODY, RunningTopK


def test_adding_in_any_order_is_sorting_once():
    generator = torch.Generator().manual_seed(0)
    centre = torch.randint(6, (200,), generator=generator)
    neighbour = torch.arange(200)
    similarity = torch.randint(5, (200,), generator=generator) / 4  # ties
    for seed in range(3):
        order = torch.randperm(200, generator=generator.manual_seed(seed))
        top = RunningTopK(6, 4)
        for part in order.split(17):
            top.add_pairs(centre[part], neighbour[part], similarity[part])
        for place in range(6):
            mine = (centre == place).nonzero().flatten().tolist()
            want = sorted(mine, key=lambda n: (-float(similarity[n]), n))[:4]
            assert top.neighbour[place].tolist() == want
            assert top.score[place].tolist() == similarity[want].tolist()


def test_a_short_list_ends_with_nobody():
    top = RunningTopK(2, 3)
    top.add_pairs(torch.tensor([1]), torch.tensor([4]), torch.tensor([0.5]))
    assert top.neighbour.tolist() == [[NOBODY] * 3, [4, NOBODY, NOBODY]]
    assert top.score[1].tolist() == [0.5, -math.inf, -math.inf]
    none = torch.zeros(0)
    top.add_pairs(none.long(), none.long(), none)
    assert top.neighbour[1].tolist() == [4, NOBODY, NOBODY]


def streamed(unit, centres, k, size):
    top = RunningTopK(len(centres), k)
    for first in range(0, len(unit), size):
        block = unit[first : first + size]
        similarity = unit[centres] @ block.T
        own = centres - first
        inside = (own >= 0) & (own < len(block))
        similarity[inside, own[inside]] = -torch.inf
        top.add_tile(similarity, first)
    return top


@pytest.mark.parametrize("size", [1, 9, 50, 200])
def test_blocks_of_any_size_give_the_lists_of_the_graph(size):
    x = torch.randn(200, 6, dtype=torch.float64)
    x[30:40] = x[5]  # ties, across blocks
    edge_index, similarity = knn_graph(x, 7)
    centres = torch.randperm(200)[:60]
    top = streamed(x / x.norm(dim=1, keepdim=True), centres, 7, size)
    assert torch.equal(top.neighbour, edge_index[0].view(200, 7)[centres])
    assert torch.equal(top.score, similarity.view(200, 7)[centres])


def test_ties_at_the_end_go_to_the_smaller_id():
    top = RunningTopK(1, 2)
    for first in range(0, 12, 3):
        top.add_tile(torch.ones(1, 3), first)
    assert top.neighbour.tolist() == [[0, 1]]


def test_a_tile_is_the_first_unless_it_is_placed():
    top = RunningTopK(1, 2)
    top.add_tile(torch.tensor([[0.5, 0.1]]))
    assert top.neighbour.tolist() == [[0, 1]]


def test_rows_left_out_are_in_no_list():
    top = RunningTopK(2, 2)
    low = -torch.inf
    top.add_tile(torch.tensor([[low, low, 0.1], [0.3, low, low]]), 0)
    top.add_tile(torch.tensor([[0.2, low, low], [low, low, 0.1]]), 3)
    assert top.neighbour.tolist() == [[3, 2], [0, 5]]


def test_runs_on_the_device(device):
    similarity = torch.rand(5, 40)
    top = RunningTopK(5, 3, device=device)
    top.add_tile(similarity.to(device), 0)
    assert top.neighbour.cpu().tolist() == similarity.topk(3).indices.tolist()


def test_tiles_in_both_directions_equal_one_topk():
    score = torch.randn(40, 64)
    want = score.topk(5)
    best = RunningTopK(40, 5)
    for row in range(0, 40, 16):
        for col in range(0, 64, 24):
            tile = score[row : row + 16, col : col + 24]
            if (row + col) % 3:
                best.add_tile(tile.contiguous(), col, row)
            else:
                best.add_tile_transposed(tile.T.contiguous(), col, row)
    assert torch.equal(best.neighbour, want.indices)
    assert torch.equal(best.score, want.values)


def test_a_tile_narrower_than_the_list_is_kept_whole():
    best = RunningTopK(2, 4)
    best.add_tile(torch.tensor([[1.0, 2.0], [4.0, 3.0]]), 10)
    assert best.neighbour[:, :2].tolist() == [[11, 10], [10, 11]]
    assert best.score[:, 2:].isinf().all()


def test_equal_scores_do_not_push_out_earlier_ones():
    best = RunningTopK(1, 2)
    best.add_tile(torch.ones(1, 2), 0)
    best.add_tile(torch.ones(1, 6), 2)
    assert sorted(best.neighbour[0].tolist()) == [0, 1]


def test_pairs_are_in_the_order_of_tuples():
    """Signed scores and zeros, ties, large ids; a sort of tuples beside it."""
    row = torch.arange(8).repeat_interleave(torch.arange(4, 12))
    col = torch.cat([torch.randperm(20)[:n] for n in range(4, 12)])
    col[col > 10] += NOBODY - 30
    value = torch.randint(-2, 3, (len(row),)).float() / 3
    value[value == 0] *= -1.0 * (col[value == 0] % 2)  # either zero
    shuffle = torch.randperm(len(row))
    top = RunningTopK(8, 4)
    for part in shuffle.split(9):
        top.add_pairs(row[part], col[part], value[part])
    triples = sorted(zip(row.tolist(), (-value).tolist(), col.tolist(), strict=True))
    for r in range(8):
        best = [(v, c) for i, v, c in triples if i == r][:4]
        assert top.neighbour[r].tolist() == [c for _, c in best]
        assert top.score[r].tolist() == [-v for v, _ in best]


def test_a_minus_zero_stays_one():
    top = RunningTopK(1, 2)
    zeros, ids = torch.tensor([0.0, -0.0]), torch.tensor([9, 3])
    top.add_pairs(torch.zeros(2, dtype=torch.long), ids, zeros)
    assert top.neighbour.tolist() == [[3, 9]]
    assert top.score.signbit().tolist() == [[True, False]]


def test_of_equal_rows_the_first_are_added():
    groups = RowGroups.of(torch.tensor([0, 1, 0, 0, 1]))
    top = RunningTopK(2, 2)
    score = torch.tensor([0.5, 0.9, 0.1])
    top.add_groups(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), score, groups)
    assert top.neighbour.tolist() == [[0, 2], [1, 4]]
    assert top.score.tolist() == [[0.5, 0.5], [score[1], score[1]]]
