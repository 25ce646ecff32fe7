"""The best neighbours of some centres, while candidates go by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmgraph.knn.rows.row_groups import RowGroups

NOBODY = 2**32 - 1  # where there is no neighbour yet; every id is smaller


class RunningTopK:
    """The ``k`` best neighbours of each centre, by score descending, then id ascending.

    They do not depend on how the candidates are cut into tiles, as long as the ids of
    tiles come in ascending order; pairs come in any order.

    Args:
        num_centres: Number of centres.
        k: Neighbours per centre.
        device: Their device.

    Attributes:
        neighbour: int64 ``[num_centres, k]``; ``NOBODY`` where nobody is yet.
        score: float32, likewise; minus infinity where nobody is yet.

    Example:
        >>> top = RunningTopK(1, 2)
        >>> centre, score = torch.tensor([0, 0, 0]), torch.tensor([0.5, 0.1, 0.5])
        >>> top.add_pairs(centre, torch.tensor([4, 7, 2]), score)
        >>> top.neighbour.tolist()
        [[2, 4]]
    """

    def __init__(
        self, num_centres: int, k: int, device: torch.device | str = "cpu"
    ) -> None:
        shape = (num_centres, k)
        self.neighbour = torch.full(shape, NOBODY, device=device)
        self.score = torch.full(shape, -torch.inf, dtype=torch.float32, device=device)

    def add_tile(self, score: Tensor, neighbour: int = 0, centre: int = 0) -> None:
        """Add all pairs of a range of centres and a range of neighbours.

        Args:
            score: Score of every centre (row) and neighbour (column), rounded to
                float32 here; minus infinity leaves a pair out.
            neighbour: Id of the first neighbour.
            centre: The first centre.

        Shapes:
            score: ``[B, C]``.

        Example:
            >>> top = RunningTopK(1, 2)
            >>> top.add_tile(torch.tensor([[0.5, 0.1]]))
            >>> top.add_tile(torch.tensor([[0.7, 0.5]]), neighbour=2)
            >>> top.neighbour.tolist(), top.score.tolist()
            ([[2, 0]], [[0.699999988079071, 0.5]])
        """
        score = score.float()
        worst = self.score[centre : centre + len(score), -1:]
        if torch.isinf(worst).any():
            worst = worst.maximum(_lower_bound(score, self.score.size(1)))
        row, col, value = _better(score, worst)
        self.add_pairs(row + centre, col + neighbour, value)

    def add_tile_transposed(self, score: Tensor, neighbour: int, centre: int) -> None:
        """The same with the centres in the columns, without transposing; on a CPU.

        Example:
            >>> top = RunningTopK(2, 1)
            >>> top.add_tile_transposed(torch.tensor([[0.0, 1.0], [3.0, 2.0]]), 4, 0)
            >>> top.neighbour.tolist()
            [[5], [5]]
        """
        worst = self.score[centre : centre + score.size(1), -1]
        row, col, value = _better(score, worst)
        # NumPy sorts numbers of 16 bits by radix, ten times faster than torch.
        small = col.numpy().astype(np.min_scalar_type(score.size(1)))
        order = torch.from_numpy(np.argsort(small, kind="stable"))
        self.add_pairs(col[order] + centre, row[order] + neighbour, value[order])

    def add_pairs(self, centre: Tensor, neighbour: Tensor, score: Tensor) -> None:
        """Add pairs, none of which was added before.

        Args:
            centre: Centre of each pair.
            neighbour: Id of each pair.
            score: float32 score of each pair, finite.

        Shapes:
            centre, neighbour, score: ``[P]``.
        """
        if not len(centre):
            return
        if (centre[1:] < centre[:-1]).any():
            order = centre.argsort(stable=True)
            centre, neighbour, score = centre[order], neighbour[order], score[order]
        touched, length = centre.unique_consecutive(return_counts=True)
        k, device = self.score.size(1), centre.device
        # One row per touched centre: what it has, then what is new, then nobody.
        begin = (length.cumsum(0) - length).repeat_interleave(length)
        column = torch.arange(len(centre), device=device) - begin + k
        row = torch.arange(len(touched), device=device).repeat_interleave(length)
        shape = (len(touched), k + int(length.max()))
        scores = torch.full(shape, -torch.inf, dtype=torch.float32, device=device)
        ids = torch.full(shape, NOBODY, device=device)
        scores[:, :k], ids[:, :k] = self.score[touched], self.neighbour[touched]
        scores[row, column], ids[row, column] = score, neighbour
        best = _rank_keys(scores, ids).topk(k).indices
        self.score[touched] = scores.gather(1, best)
        self.neighbour[touched] = ids.gather(1, best)

    def add_groups(
        self, centre: Tensor, group: Tensor, score: Tensor, groups: RowGroups
    ) -> None:
        """Add pairs of a centre and a group of equal rows.

        Args:
            centre: Centre of each pair.
            group: Group of each pair.
            score: Score of its rows, float32.
            groups: The ids of each group.

        Shapes:
            centre, group, score: ``[P]``.
        """
        # Of equal rows, the first are enough.
        count, neighbour = groups.members(group, self.score.size(1))
        centre, score = centre.repeat_interleave(count), score.repeat_interleave(count)
        self.add_pairs(centre, neighbour, score)


def _rank_keys(score: Tensor, id: Tensor) -> Tensor:
    """int64 numbers in the order (score ascending, id descending).

    One top-k of them is four times faster than two sorts. The bits of a float32, as an
    integer, are in the order of the values; those of the negatives are turned round.
    """
    bits = (score + 0.0).view(torch.int32)  # -0.0 and 0.0 are equal
    bits ^= (bits >> 31).bitwise_and_(0x7FFFFFFF)
    key: Tensor = bits.long().bitwise_left_shift_(32).sub_(id)
    return key


def _lower_bound(score: Tensor, count: int) -> Tensor:
    """A value just below ``count`` scores of each row, without sorting.

    The maxima of ``count`` groups of columns are ``count`` scores of the row.
    """
    each = score.size(1) // count
    if each == 0:
        return score.new_full((len(score), 1), -torch.inf)
    groups = score[:, : count * each].unflatten(1, (count, each))
    least = groups.amax(2).amin(1, keepdim=True)
    below: Tensor = least.nextafter(torch.full_like(least, -torch.inf))
    return below


def _better(score: Tensor, bound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Entries above a bound; NumPy finds the few in many much faster than torch."""
    if score.device.type == "cpu":
        above = np.flatnonzero(np.greater(score.numpy(), bound.numpy()))
        flat = torch.from_numpy(above)
    else:
        flat = (score > bound).flatten().nonzero().flatten()
    return flat // score.size(1), flat % score.size(1), score.flatten()[flat]
