"""Each centre's best scores so far, improved one tile of scores at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class BestSoFar:
    """The ``count`` best scores of every centre, descending, and who has them.

    Attributes:
        score: float32 ``[N, count]``, minus infinity where nothing was seen.
        index: int64 ``[N, count]``.
    """

    score: Tensor
    index: Tensor

    @classmethod
    def empty(cls, num_centres: int, count: int) -> BestSoFar:
        """Nothing seen yet.

        Example:
            >>> BestSoFar.empty(1, 2).score
            tensor([[-inf, -inf]])
        """
        score = torch.full((num_centres, count), -torch.inf, dtype=torch.float32)
        return cls(score, torch.zeros((num_centres, count), dtype=torch.long))

    def add(self, score: Tensor, centre: int, neighbour: int) -> None:
        """Scores of the centres from ``centre`` on (rows) and neighbours (columns).

        Example:
            >>> best = BestSoFar.empty(2, 1)
            >>> best.add(torch.tensor([[0.0, 1.0], [3.0, 2.0]]), 0, 4)
            >>> best.index.tolist()
            [[5], [4]]
        """
        worst = self.score[centre : centre + len(score), -1:]
        if torch.isinf(worst).any():
            worst = worst.maximum(_lower_bound(score, self.score.size(1)))
        row, col, value = _hits(score, worst)
        self._merge(row + centre, col + neighbour, value)

    def add_transposed(self, score: Tensor, centre: int, neighbour: int) -> None:
        """The same with the centres in the columns, without transposing.

        Example:
            >>> best = BestSoFar.empty(2, 1)
            >>> best.add_transposed(torch.tensor([[0.0, 1.0], [3.0, 2.0]]), 0, 4)
            >>> best.index.tolist()
            [[5], [5]]
        """
        worst = self.score[centre : centre + score.size(1), -1]
        row, col, value = _hits(score, worst)
        order = col.argsort(stable=True)
        self._merge(col[order] + centre, row[order] + neighbour, value[order])

    def _merge(self, centre: Tensor, neighbour: Tensor, value: Tensor) -> None:
        """Put new pairs in, ascending by centre."""
        if not len(centre):
            return
        here, length = centre.unique_consecutive(return_counts=True)
        count, most = self.score.size(1), int(length.max())
        begin = (length.cumsum(0) - length).repeat_interleave(length)
        place = torch.arange(len(centre)) - begin + count
        at = torch.arange(len(here)).repeat_interleave(length)
        score = torch.full((len(here), count + most), -torch.inf, dtype=torch.float32)
        index = torch.zeros(score.shape, dtype=torch.long)
        score[:, :count], index[:, :count] = self.score[here], self.index[here]
        score[at, place], index[at, place] = value, neighbour
        best, chosen = score.topk(count)
        self.score[here], self.index[here] = best, index.gather(1, chosen)


def _lower_bound(score: Tensor, count: int) -> Tensor:
    """A value just below ``count`` scores of each row, without sorting.

    The maxima of ``count`` groups of columns are ``count`` scores of the row.
    """
    each = score.size(1) // count
    if each == 0:
        return score.new_full((len(score), 1), -torch.inf)
    groups = score[:, : count * each].unflatten(1, (count, each))
    return groups.amax(2).amin(1, keepdim=True).nextafter(score.new_tensor(-torch.inf))


def _hits(score: Tensor, worst: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Places above a bound; NumPy finds the few in many much faster than torch."""
    flat = torch.from_numpy(np.flatnonzero(np.greater(score.numpy(), worst.numpy())))
    return flat // score.size(1), flat % score.size(1), score.flatten()[flat]
