"""The nearest rows of a few centres among rows that come block by block."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.ranking import take_best

_NO_ROW = torch.iinfo(torch.int64).max


class NearestRows:
    """Running lists of the ``k`` best rows of every centre.

    The order is that of :func:`mmgraph.knn.knn_graph`: similarity descending, after
    rounding to float32, then id ascending. It does not depend on how the rows are cut
    into blocks. Memory is one block of similarities and the lists.

    Args:
        num_centres: Number of centres.
        k: Length of the lists.
        device: Where the similarities are.

    Example:
        >>> nearest = NearestRows(num_centres=1, k=2)
        >>> nearest.update(torch.tensor([[0.5, 0.1]]), first_row=0)
        >>> nearest.update(torch.tensor([[0.7, 0.5]]), first_row=2)
        >>> nearest.index, nearest.similarity
        (tensor([[2, 0]]), tensor([[0.7000, 0.5000]]))
    """

    def __init__(
        self, num_centres: int, k: int, *, device: torch.device | str | None = None
    ) -> None:
        shape = (num_centres, k)
        self.index = torch.full(shape, _NO_ROW, device=device)
        self.similarity = torch.full(
            shape, -torch.inf, dtype=torch.float32, device=device
        )

    def update(self, similarity: Tensor, first_row: int) -> None:
        """Take in the similarities of all centres with a block of rows.

        Args:
            similarity: ``[num_centres, block]``; minus infinity leaves a row out.
            first_row: Id of the block's first row.
        """
        similarity = similarity.float()
        k = self.index.size(1)
        least = self.similarity[:, -1:]
        if similarity.size(1) > k and not least.isfinite().all():
            # Lists not full yet: all but the best of the block would be sorted in vain.
            least = torch.maximum(least, similarity.topk(k).values[:, -1:])
        # The smallest number is above minus infinity: rows left out are never taken.
        least = least.clamp(min=torch.finfo(similarity.dtype).min)
        row, col = (similarity >= least).nonzero(as_tuple=True)
        own = torch.arange(len(self.index), device=row.device).repeat_interleave(k)
        self.index, self.similarity = take_best(
            torch.cat([own, row]),
            torch.cat([self.index.flatten(), col + first_row]),
            torch.cat([self.similarity.flatten(), similarity[row, col]]),
            k,
        )
