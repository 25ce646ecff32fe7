"""Ranking metrics of top-K recommendations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, overload

import torch
from torch import Tensor

#: Names of the metrics, without their cut-offs.
METRICS = ("recall", "ndcg", "precision", "map", "hit", "mrr")


@overload
def ranking_metrics(
    hits: Tensor,
    num_positives: Tensor,
    ks: Iterable[int],
    *,
    per_user: Literal[False] = False,
    complete: bool = ...,
) -> dict[str, float]: ...


@overload
def ranking_metrics(
    hits: Tensor,
    num_positives: Tensor,
    ks: Iterable[int],
    *,
    per_user: Literal[True],
    complete: bool = ...,
) -> dict[str, Tensor]: ...


def ranking_metrics(
    hits: Tensor,
    num_positives: Tensor,
    ks: Iterable[int],
    *,
    per_user: bool = False,
    complete: bool = False,
) -> dict[str, float] | dict[str, Tensor]:
    r"""Recall, NDCG, precision, MAP, hit ratio and MRR at each cut-off.

    With :math:`P` positives of a user, :math:`c_k` of them in the first :math:`k`:

    - ``recall`` :math:`c_k / P` (not capped at :math:`k`), ``precision``
      :math:`c_k / k`, ``hit`` :math:`[c_k > 0]`
    - ``ndcg`` :math:`\sum_{r \le k} h_r / \log_2(r+1)` over the same sum for
      :math:`\min(k, P)` leading hits
    - ``map`` :math:`\sum_{r \le k} h_r c_r / r` over :math:`\min(k, P)`
    - ``mrr`` the reciprocal rank of the first hit, 0 without one

    All in float64 on the device of ``hits``, not rounded; every user weighs the same.

    Args:
        hits: Boolean ``[U, K]``: is the item at this rank, best first, a positive?
        num_positives: Positives ``[U]`` of each user, at least 1.
        ks: Cut-offs in ``[1, K]``.
        per_user: Return ``[U]`` tensors instead of means.
        complete: The :math:`K` items are all there are: ``ks`` may be larger, and
            nothing stands at the ranks behind them.

    Returns:
        ``{"recall@10": ..., "ndcg@10": ..., ...}``, floats or float64 tensors.

    Raises:
        ValueError: On wrong shapes, no user, a user without positives, or a cut-off
            out of range.

    Example:
        >>> hits = torch.tensor([[True, False, True]])
        >>> metrics = ranking_metrics(hits, torch.tensor([4]), ks=[3])
        >>> metrics["recall@3"], metrics["mrr@3"]
        (0.5, 1.0)
    """
    ks = list(ks)
    _check(hits, num_positives, ks, complete)
    hit = hits.double()
    positives = num_positives.to(hit)
    rank = torch.arange(1, hits.size(1) + 1, dtype=torch.float64, device=hits.device)
    discount = (rank + 1).log2().reciprocal()

    count = hit.cumsum(dim=1)
    gain = (hit * discount).cumsum(dim=1)
    ideal = discount.cumsum(dim=0)
    precision_at_hits = (hit * count / rank).cumsum(dim=1)
    first_hit = hit * (count == 1) / rank  # non-zero at the first hit only

    values: dict[str, Tensor] = {}
    for k in ks:
        last = min(k, hits.size(1)) - 1
        reachable = positives.clamp(max=k)
        values[f"recall@{k}"] = count[:, last] / positives
        values[f"ndcg@{k}"] = gain[:, last] / ideal[reachable.long() - 1]
        values[f"precision@{k}"] = count[:, last] / k
        values[f"map@{k}"] = precision_at_hits[:, last] / reachable
        values[f"hit@{k}"] = (count[:, last] > 0).double()
        values[f"mrr@{k}"] = first_hit[:, :k].sum(dim=1)
    if per_user:
        return values
    return mean_over_users(values)


def mean_over_users(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each metric, to the last digit what :func:`ranking_metrics` gives.

    Args:
        values: Metrics of each user ``[U]``, float64.

    Example:
        >>> mean_over_users({"hit@3": torch.tensor([1.0, 0.0], dtype=torch.float64)})
        {'hit@3': 0.5}
    """
    means = torch.stack(list(values.values())).mean(dim=1).tolist()  # one transfer
    return dict(zip(values, means, strict=True))


def _check(hits: Tensor, num_positives: Tensor, ks: list[int], complete: bool) -> None:
    if hits.dim() != 2 or num_positives.size() != hits.shape[:1]:
        raise ValueError(
            "'hits' must be [U, K] and 'num_positives' [U] "
            f"(got {list(hits.shape)} and {list(num_positives.shape)})"
        )
    if hits.size(0) == 0:
        raise ValueError("there must be at least one user (got 0)")
    if not ks or min(ks) < 1 or (max(ks) > hits.size(1) and not complete):
        raise ValueError(f"'ks' must be in [1, {hits.size(1)}] (got {ks})")
    if complete and int(num_positives.max()) > hits.size(1):
        raise ValueError(f"there are more positives than items ({hits.size(1)})")
    if (num_positives < 1).any():
        raise ValueError("every user needs at least one positive (got one with 0)")
