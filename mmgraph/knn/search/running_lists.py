"""The nearest rows of some centres, while the table goes by in blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgraph.knn.search.ranking import take_best

NOBODY = torch.iinfo(torch.int64).max  # fills the places of a list that nobody has yet


class RunningLists:
    """One list per centre in the order (similarity descending, id ascending).

    The lists do not depend on how the rows are cut into blocks. Rows come as all
    similarities of a block, or as the pairs that a search could not leave out. For the
    latter each centre's best float32 products are kept beside its list. The
    ``length``-th of them is a bound: at least ``length`` rows have gone by that are
    truly no worse than the bound minus one rounding error, so a later row whose product
    lies more than the tolerance below it can be left out unseen.

    Args:
        num_centres: Number of lists.
        length: Entries per list.
        device: Where the lists lie.

    Attributes:
        neighbour: int64 ``[num_centres, length]``; ``NOBODY`` where nobody is yet.
        similarity: float32, likewise; minus infinity where nobody is yet.

    Example:
        >>> lists = RunningLists(1, 2)
        >>> place = torch.zeros(3, dtype=torch.long)
        >>> lists.merge(place, torch.tensor([4, 7, 2]), torch.tensor([0.5, 0.1, 0.5]))
        >>> lists.neighbour.tolist()
        [[2, 4]]
    """

    def __init__(
        self, num_centres: int, length: int, device: torch.device | str = "cpu"
    ) -> None:
        shape = (num_centres, length)
        self.neighbour = torch.full(shape, NOBODY, device=device)
        nothing = torch.full(shape, -torch.inf, dtype=torch.float32, device=device)
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

    def merge_block(self, similarity: Tensor, first_row: int) -> None:
        """Put a block of rows into the lists of all centres.

        Args:
            similarity: Of every centre with every row, rounded to float32 here; minus
                infinity leaves a row out.
            first_row: Id of the first row of the block.

        Shapes:
            similarity: ``[num_centres, B]``.

        Example:
            >>> lists = RunningLists(1, 2)
            >>> lists.merge_block(torch.tensor([[0.5, 0.1]]), first_row=0)
            >>> lists.merge_block(torch.tensor([[0.7, 0.5]]), first_row=2)
            >>> lists.neighbour, lists.similarity
            (tensor([[2, 0]]), tensor([[0.7000, 0.5000]]))
        """
        similarity = similarity.float()
        length, least = self.neighbour.size(1), self.similarity[:, -1:]
        if similarity.size(1) > length and not least.isfinite().all():
            # Lists not full yet: all but the best of the block would be sorted in vain.
            least = least.maximum(similarity.topk(length).values[:, -1:])
        # The smallest number is above minus infinity: rows left out are never taken.
        least = least.clamp(min=torch.finfo(similarity.dtype).min)
        row, col = (similarity >= least).nonzero(as_tuple=True)
        self.merge(row, col + first_row, similarity[row, col])
