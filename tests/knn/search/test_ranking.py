from __future__ import annotations

import torch

from mmgraph.knn.search.ranking import take_best


def test_equals_a_sort_of_tuples():
    row = torch.arange(8).repeat_interleave(torch.arange(4, 12))
    col = torch.cat([torch.randperm(20)[:n] for n in range(4, 12)])
    value = torch.randint(0, 3, (len(row),)).float()
    shuffle = torch.randperm(len(row))
    ids, similarity = take_best(row[shuffle], col[shuffle], value[shuffle], 4)
    triples = sorted(zip(row.tolist(), (-value).tolist(), col.tolist(), strict=True))
    for r in range(8):
        best = [(v, c) for i, v, c in triples if i == r][:4]
        assert ids[r].tolist() == [c for _, c in best]
        assert similarity[r].tolist() == [-v for v, _ in best]
