"""A few random neighbours of each node in the place of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.rows import take_rows

#: In the place of a number of neighbours.
ALL = -1


class SampledGraph:
    r"""What some nodes need of a graph, hop by hop, with sampled neighbours.

    The propagation from :math:`\mathcal{S}_0`, the nodes asked for, reads the rows

    .. math::
        \mathbf{y}_{\mathcal{S}_0} = \mathbf{x}_{\mathcal{S}_0} + \mathbf{B}_1
        (\mathbf{x}_{\mathcal{S}_1} + \mathbf{B}_2 (\mathbf{x}_{\mathcal{S}_2}
        + \dots)), \qquad \mathcal{S}_0 \subseteq \mathcal{S}_1 \subseteq \dots

    Args:
        nodes: The nodes of the last hop; those of each hop before are its first.
        blocks: :math:`\mathbf{B}_h` of each hop, nodes numbered as in ``nodes``.
        place: Where each node asked for is in ``nodes``.
    """

    def __init__(self, nodes: Tensor, blocks: list[Adjacency], place: Tensor) -> None:
        self.nodes, self.blocks, self.place = nodes, blocks, place

    def power_sum(self, x: Tensor, scale: float = 1.0) -> Tensor:
        r"""Sum of all layers of a propagation, of the nodes asked for.

        It is the row of ``graph.power_sum(x, num_layers, scale)`` where each hop has
        all neighbours, and otherwise an estimate with that expected value.

        Args:
            x: Features of ``nodes``.
            scale: Factor of the sum.

        Shapes:
            - **input:** :math:`(|\mathcal{S}_L|, d)`
            - **output:** one row per node asked for
        """
        y = x
        for block in reversed(self.blocks):
            y = block.matmul(y) + x[: block.num_dst]
        return take_rows(y * scale, self.place)


def sample_neighbors(
    graph: Adjacency,
    nodes: Tensor,
    num_neighbors: Sequence[int],
    generator: torch.Generator | None = None,
) -> SampledGraph:
    r"""Sample the neighbourhood of some nodes.

    In each hop, every node that was reached so far draws :math:`n` of its :math:`d`
    neighbours afresh, without replacement and all alike, and gives them
    :math:`d / n` times their weight; a node of no more than :math:`n` has them all. The
    draws of two hops are independent, so the expected value of a propagation is that
    over the whole graph.

    Args:
        graph: Row = target, columns = its sources.
        nodes: The nodes asked for; a node may occur more than once.
        num_neighbors: :math:`n` of each hop, one per layer of the propagation; -1 takes
            all.
        generator: Random generator of the graph's device.

    Shapes:
        - **nodes:** :math:`(B)` int64

    Example:
        >>> edge_index = torch.tensor([[0, 1, 1], [0, 0, 1]])
        >>> graph = Adjacency.user_item(edge_index, num_users=2, num_items=2)
        >>> sampled = sample_neighbors(graph, torch.tensor([0, 0]), [ALL, ALL])
        >>> sampled.nodes
        tensor([0, 2, 1])
        >>> x = torch.eye(4)
        >>> sampled.power_sum(x[sampled.nodes]).equal(graph.power_sum(x, 2)[[0, 0]])
        True
    """
    reached, place = nodes.unique(return_inverse=True)
    number = torch.full((graph.num_src,), -1, device=nodes.device)
    number[reached] = torch.arange(len(reached), device=nodes.device)
    blocks = []
    for count in num_neighbors:
        rowptr, entry, scale = draw_entries(graph.rowptr, reached, count, generator)
        source = graph.col[entry].long()
        new = source[number[source] < 0].unique()
        number[new] = len(reached) + torch.arange(len(new), device=nodes.device)
        reached = torch.cat([reached, new])
        weight = graph.weight[entry] * scale.to(graph.weight.dtype)
        col = number[source].to(rowptr.dtype)
        blocks.append(Adjacency(rowptr, col, weight, num_src=len(reached)))
    return SampledGraph(reached, blocks, place)


def draw_entries(
    rowptr: Tensor,
    rows: Tensor,
    count: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw so many entries of each row of a CSR matrix, without replacement.

    Args:
        rowptr: Start of each row's entries.
        rows: The rows.
        count: Entries per row; a row of no more has all of them, in their order; -1
            takes all.
        generator: Random generator of their device.

    Returns:
        Start of each row's entries among those drawn, their positions in the matrix,
        and for each how many times its weight stands for its row.

    Shapes:
        - **rowptr:** :math:`(N + 1)`, rows :math:`(R)`
        - **output:** :math:`(R + 1)`, :math:`(E)` int64, :math:`(E)` float64

    Example:
        >>> starts, entry, scale = draw_entries(
        ...     torch.tensor([0, 3, 4]), torch.tensor([1, 0]), 2
        ... )
        >>> starts.tolist(), int(entry[0]), scale.tolist()
        ([0, 1, 3], 3, [1.0, 1.5, 1.5])
    """
    start, degree = rowptr[rows].long(), rowptr.diff()[rows].long()
    kept = degree if count == ALL else degree.clamp(max=count)
    starts = F.pad(kept.cumsum(0), (1, 0))
    row = torch.repeat_interleave(kept)
    offset = torch.arange(row.numel(), device=row.device) - starts[row]
    chosen = degree > kept
    if bool(chosen.any()):
        drawn = _draw_without_replacement(degree[chosen], count, generator)
        offset[chosen[row]] = drawn.flatten()
    scale = (degree.double() / kept)[row]
    return starts.to(rowptr.dtype), start[row] + offset, scale


def _draw_without_replacement(
    size: Tensor, count: int, generator: torch.Generator | None
) -> Tensor:
    """``count`` different numbers below each size, by Floyd's algorithm.

    Bentley and Floyd, "A Sample of Brilliance", Communications of the ACM, 1987.
    """
    drawn = size.new_empty(len(size), count)
    for place in range(count):
        last = size - count + place
        uniform = torch.rand(
            len(size), dtype=torch.double, generator=generator, device=size.device
        )
        pick = (uniform * (last + 1)).long()
        taken = (drawn[:, :place] == pick.unsqueeze(1)).any(dim=1)
        drawn[:, place] = torch.where(taken, last, pick)
    return drawn
