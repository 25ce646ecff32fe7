from __future__ import annotations

import torch

from mmgraph.knn.search.best_so_far import BestSoFar


def test_tiles_in_both_directions_equal_one_topk():
    score = torch.randn(40, 64)
    want = score.topk(5)
    best = BestSoFar.empty(40, 5)
    for row in range(0, 40, 16):
        for col in range(0, 64, 24):
            tile = score[row : row + 16, col : col + 24]
            if (row + col) % 3:
                best.add(tile.contiguous(), row, col)
            else:
                best.add_transposed(tile.T.contiguous(), row, col)
    assert torch.equal(best.index, want.indices)
    assert torch.equal(best.score, want.values)


def test_a_tile_narrower_than_the_list_is_kept_whole():
    best = BestSoFar.empty(2, 4)
    best.add(torch.tensor([[1.0, 2.0], [4.0, 3.0]]), 0, 10)
    assert best.index[:, :2].tolist() == [[11, 10], [10, 11]]
    assert best.score[:, 2:].isinf().all()


def test_equal_scores_do_not_push_out_earlier_ones():
    best = BestSoFar.empty(1, 2)
    best.add(torch.ones(1, 2), 0, 0)
    best.add(torch.ones(1, 6), 0, 2)
    assert sorted(best.index[0].tolist()) == [0, 1]
