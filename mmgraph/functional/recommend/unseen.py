"""Scores of the items that users have not seen, without a user x item matrix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.block_sizes import USER_SCORES
from mmgraph.functional.graph.adjacency import Adjacency
from mmgraph.functional.precision import at_least_float32
from mmgraph.functional.rows import take_rows


def seen_items(history: Adjacency, users: Tensor) -> Adjacency:
    """Rows of a history, one per given user, in their order.

    Args:
        history: Row = user, columns = the items she has seen.
        users: Row numbers.

    Shapes:
        - **users:** :math:`(B)` int64
        - **output:** a matrix of :math:`B` rows

    Example:
        >>> history = Adjacency.from_edge_index(
        ...     torch.tensor([[2, 0, 1], [0, 1, 1]]), num_src=3, num_dst=2
        ... )
        >>> seen_items(history, torch.tensor([1, 1])).col
        tensor([0, 1, 0, 1], dtype=torch.int32)
    """
    return history.rows(users)


def mask_seen(scores: Tensor, history: Adjacency, users: Tensor) -> None:
    """Set the scores of seen items to minus infinity, in place.

    Args:
        scores: Scores ``[B, I]`` of all items.
        history: Row = user, columns = the items she has seen.
        users: The user of each row ``[B]``.

    Example:
        >>> history = Adjacency.from_edge_index(
        ...     torch.tensor([[2, 0, 1], [0, 1, 1]]), num_src=3, num_dst=2
        ... )
        >>> scores = torch.zeros(1, 3)
        >>> mask_seen(scores, history, torch.tensor([1]))
        >>> scores
        tensor([[-inf, -inf, 0.]])
    """
    seen = seen_items(history, users)
    scores[seen.row().long(), seen.col.long()] = float("-inf")


def unseen_scores(user: Tensor, item: Tensor, seen: Adjacency) -> Tensor:
    r"""Each user's scores of unseen items, as a row of length 1.

    .. math::
        \mathbf{p}_u = \mathrm{norm}\big( (\mathbf{x}_u \mathbf{Y}^\top) \odot
        (1 - \mathbf{R}_u) \big)

    Args:
        user: :math:`\mathbf{x}_u` of each user.
        item: :math:`\mathbf{Y}`.
        seen: :math:`\mathbf{R}_u` of each user, as :func:`seen_items` gives it.

    Shapes:
        - **input:** :math:`(B, d)`, :math:`(I, d)`
        - **output:** :math:`(B, I)`; a zero row where nothing is left

    Example:
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2], [0]]), num_src=3, num_dst=1
        ... )
        >>> item = torch.tensor([[3.0], [4.0], [9.0]])
        >>> unseen_scores(torch.ones(1, 1), item, seen)
        tensor([[0.6000, 0.8000, 0.0000]])
    """
    scores = user @ item.t()
    entries = (seen.row().long(), seen.col.long())
    return F.normalize(scores.index_put(entries, scores.new_zeros(())), dim=1)


def map_unseen_scores(
    user: Tensor, item: Tensor, seen: Adjacency, weight: Tensor
) -> Tensor:
    r"""A linear map of :func:`unseen_scores`, without the scores.

    .. math::
        \mathbf{p}_u \mathbf{W} = \frac{\mathbf{x}_u (\mathbf{Y}^\top \mathbf{W})
        - \sum_{i \in \mathcal{N}_u} s_{ui} \mathbf{w}_i}
        {\big( \mathbf{x}_u (\mathbf{Y}^\top \mathbf{Y}) \mathbf{x}_u^\top
        - \sum_{i \in \mathcal{N}_u} s_{ui}^2 \big)^{1/2}}, \qquad
        s_{ui} = \langle \mathbf{x}_u, \mathbf{y}_i \rangle

    Value and gradients are those of ``unseen_scores(user, item, seen) @ weight``; time
    and memory grow with the users, the items and the edges, not with users times items.
    Half precision is computed in float32.

    Args:
        user: :math:`\mathbf{x}_u` of each user.
        item: :math:`\mathbf{Y}`.
        seen: The items :math:`\mathcal{N}_u` of each user, each once.
        weight: :math:`\mathbf{W}`, one row per item.

    Shapes:
        - **input:** :math:`(B, d)`, :math:`(I, d)`, weight :math:`(I, h)`
        - **output:** :math:`(B, h)`

    Example:
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2], [0]]), num_src=3, num_dst=1
        ... )
        >>> item = torch.tensor([[3.0], [4.0], [9.0]])
        >>> map_unseen_scores(torch.ones(1, 1), item, seen, torch.ones(3, 1))
        tensor([[1.4000]])
    """
    with torch.autocast(user.device.type, enabled=False):
        user, item, weight = (at_least_float32(x) for x in (user, item, weight))
        return _map_unseen_scores(user, item, seen, weight)


def _map_unseen_scores(
    user: Tensor, item: Tensor, seen: Adjacency, weight: Tensor
) -> Tensor:
    row, col = seen.row().long(), seen.col.long()
    score = (take_rows(user, row) * take_rows(item, col)).sum(dim=1)
    mapped = user @ (item.t() @ weight) - F.embedding_bag(
        seen.col,
        weight,
        seen.rowptr,
        mode="sum",
        per_sample_weights=score,
        include_last_offset=True,
    )
    everything = ((user @ (item.t() @ item)) * user).sum(dim=1)
    gone = everything.new_zeros(seen.num_dst).index_add(0, row, score.square())
    # Where nothing is left the difference is noise; its root then outweighs that of
    # the numerator.
    info = torch.finfo(everything.dtype)
    least = info.eps * everything.detach() + info.tiny
    left = torch.maximum(everything - gone, least)
    return mapped / left.sqrt().unsqueeze(1)


def top_unseen_items(user: Tensor, item: Tensor, seen: Adjacency, k: int) -> Tensor:
    """The ``k`` best unseen items of each user, block by block.

    Of items that score alike, ``torch.topk`` chooses.

    Args:
        user: One row per user.
        item: One row per item.
        seen: The items of each user, as :func:`seen_items` gives them.
        k: Items per user.

    Shapes:
        - **input:** :math:`(B, d)`, :math:`(I, d)`
        - **output:** :math:`(B, k)` int64, best first; -1 where no item is left, and
          for zero rows of ``user``, which prefer nothing

    Example:
        >>> seen = Adjacency.from_edge_index(
        ...     torch.tensor([[2], [0]]), num_src=3, num_dst=1
        ... )
        >>> item = torch.tensor([[3.0], [4.0], [9.0]])
        >>> top_unseen_items(torch.ones(1, 1), item, seen, k=3)
        tensor([[ 1,  0, -1]])
    """
    num_items, items_of = item.size(0), []
    num_kept = min(k, num_items)
    rows = torch.arange(user.size(0), device=user.device)
    block_size = USER_SCORES.rows(num_items, user.device)
    for block in rows.split(block_size):
        scores = user[block] @ item.t()
        mask_seen(scores, seen, block)
        best, items = scores.topk(num_kept, dim=1)
        none = (best == float("-inf")) | ~user[block].any(dim=1, keepdim=True)
        items_of.append(items.masked_fill(none, -1))
    return F.pad(torch.cat(items_of), (0, k - num_kept), value=-1)
