"""Items that an approximate index proposes for a vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mmgraph.errors import UserError
from mmgraph.knn.search.backends import import_faiss
from mmgraph.serving.vector_files import CANDIDATES, best_items, hnsw_index

#: Gives up to so many items ``[m]`` whose inner products with a vector ``[d]`` are
#: large, int64, the best first as far as it finds them.
Proposals = Callable[[Tensor, int], Tensor]
#: Items that are asked for, and vectors, where it is counted what an index finds.
_COUNTED, _VECTORS = 20, 200


def proposals_of(item: Tensor) -> Proposals:
    """An HNSW index of the items, by inner products.

    Args:
        item: Vectors ``[I, d]`` float32, on the CPU.

    Raises:
        UserError: If FAISS is not installed.
    """
    faiss = import_faiss()
    if faiss is None:
        raise UserError(
            "an approximate index needs FAISS, which is not installed",
            "pip install 'mmgraph[cpu]', or serve without --approximate",
        )
    index = hnsw_index(item)

    def propose(vector: Tensor, count: int) -> Tensor:
        count = min(count, len(item))
        effort = faiss.SearchParametersHNSW(efSearch=max(CANDIDATES, 2 * count))
        row = vector.float().unsqueeze(0).contiguous().numpy()
        found = torch.from_numpy(index.search(row, count, params=effort)[1][0])
        return found[found >= 0]

    return propose


def share_found(proposals: Proposals, vectors: Tensor, item: Tensor) -> float:
    """Share of the 20 best items that an index proposes, over up to 200 vectors.

    One of zeros does not count: no item is better than another for it.

    Args:
        proposals: The index.
        vectors: Vectors ``[n, d]`` to ask with; some are chosen, evenly.
        item: Vectors ``[I, d]`` of the items.

    Example:
        >>> item = torch.eye(4)
        >>> share_found(lambda vector, count: torch.tensor([0, 1]), item[:1], item)
        0.5
    """
    vectors = vectors[vectors.any(dim=1)]
    if not len(vectors):
        return 1.0
    some = torch.linspace(0, len(vectors) - 1, min(len(vectors), _VECTORS)).long()
    k = min(_COUNTED, len(item))
    best = best_items(vectors[some], item, k)
    hits = [
        torch.isin(row, proposals(vector, k)).sum()
        for vector, row in zip(vectors[some], best, strict=True)
    ]
    return float(torch.stack(hits).sum() / best.numel())
