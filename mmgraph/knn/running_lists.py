"""The best neighbours so far, while the table goes by in blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmgraph.knn.ranking import take_best


class RunningLists:
    """One list per centre in the order (similarity descending, id ascending).

    Beside the lists it keeps each centre's best float32 products. The ``length``-th of
    them is a bound: at least ``length`` rows have gone by that are truly no worse than
    the bound minus one rounding error, so a later row whose product lies more than the
    tolerance below it can be left out unseen.

    Args:
        num_centres: Number of lists.
        length: Entries per list.
        num_rows: Ids are below this number; it stands for "nobody yet".
        device: Where the lists lie.

    Attributes:
        neighbour: int64 ``[num_centres, length]``.
        similarity: float32, likewise; minus infinity where nobody is yet.

    Example:
        >>> lists = RunningLists(1, 2, 10)
        >>> place = torch.zeros(3, dtype=torch.long)
        >>> lists.merge(place, torch.tensor([4, 7, 2]), torch.tensor([0.5, 0.1, 0.5]))
        >>> lists.neighbour.tolist()
        [[2, 4]]
    """

    def __init__(
        self,
        num_centres: int,
        length: int,
        num_rows: int,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (num_centres, length)
        self.neighbour = torch.full(shape, num_rows, device=device)
        nothing = torch.full(shape, -math.inf, dtype=torch.float32, device=device)
        self.similarity, self._product = nothing, nothing.clone()

    def raise_bound(self, part: slice, product: Tensor) -> Tensor:
        """Let the best products of one more block raise the bound of some centres.

        Args:
            part: The centres.
            product: Their best products with the rows of the block, descending; every
                column stands for another row.

        Returns:
            The bounds.

        Shapes:
            product: ``[B, C]``; returns ``[B]``.
        """
        best = self._product[part]
        length = best.size(1)
        better = (product[:, 0] > best[:, -1]).nonzero().flatten()
        both = torch.cat([best[better], product[better, :length]], 1)
        best[better] = both.topk(length).values
        return best[:, -1]

    def merge(self, centre: Tensor, neighbour: Tensor, similarity: Tensor) -> None:
        """Put pairs into the lists; none of them may be in already.

        Args:
            centre: Centre of each pair, by its place.
            neighbour: Id of each pair.
            similarity: Similarity of each pair, finite.

        Shapes:
            centre, neighbour, similarity: ``[P]``.
        """
        if not len(centre):
            return
        touched, row = centre.unique(return_inverse=True)
        length = self.neighbour.size(1)
        old = torch.arange(len(touched), device=row.device).repeat_interleave(length)
        best, value = take_best(
            torch.cat([row, old]),
            torch.cat([neighbour, self.neighbour[touched].flatten()]),
            torch.cat([similarity, self.similarity[touched].flatten()]),
            length,
        )
        self.neighbour[touched], self.similarity[touched] = best, value
