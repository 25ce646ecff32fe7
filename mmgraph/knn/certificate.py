"""A lower bound of the recall of an approximate graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import betaincinv
from torch import Tensor


@dataclass(frozen=True)
class RecallCertificate:
    """The recall of a graph, estimated and bounded from a sample.

    Attributes:
        estimate: Mean over the sampled rows of the ratio of their neighbours in it.
        lower_99: With 99 % confidence the recall is at least this.
        rows: Sampled rows.
        hits: Trials that succeeded.
    """

    estimate: float
    lower_99: float
    rows: int
    hits: int


def certify_recall(
    exact: Tensor, approximate: Tensor, generator: torch.Generator
) -> RecallCertificate:
    r"""Bound the recall of a graph by the neighbours of a random sample of rows.

    Recall is :math:`R = \frac{1}{N} \sum_i \frac{1}{k} |E_i \cap F_i|`, the mean over
    all rows of the ratio of exact neighbours in the graph. A trial is one sampled row
    *and one neighbour drawn at random from its exact ones*; it succeeds if the graph
    has that edge. Given a random row it succeeds with the row's own ratio, so over
    the draw of the row its probability is R itself. The neighbours of one row are not
    independent of each other (a row in a sparse corner misses many at once), so no
    row gives more than one trial; rows are drawn *with* replacement, so trials are
    independent and the number of successes h of n is binomial, exactly:

    .. math:: R \ge \mathrm{Beta}^{-1}(0.01;\, h,\, n - h + 1)

    fails with a probability of at most 1 % (Clopper and Pearson, Biometrika 26, 1934,
    404-413, one-sided), whatever the graph. The sample must not have been used to make
    or to tune the graph. ``estimate`` uses all neighbours of the sampled rows and so
    scatters less than h / n; the bound is lowered to it where it would exceed it.

    Args:
        exact: Exact neighbours of the sampled rows; a row drawn twice is in twice.
        approximate: Their neighbours in the graph.
        generator: Draws one neighbour per row.

    Returns:
        The certificate.

    Raises:
        ValueError: The sample is empty, or the matrices differ in their rows.

    Shapes:
        exact: ``[n, k]``; approximate: ``[n, k']``.

    Example:
        >>> exact = torch.arange(20_000).view(2000, 10)
        >>> certificate = certify_recall(exact, exact, torch.Generator())
        >>> certificate.estimate, round(certificate.lower_99, 4)
        (1.0, 0.9977)
    """
    if not exact.numel() or len(exact) != len(approximate):
        raise ValueError(
            "certificate needs neighbours of the same rows, at least one "
            f"(got {[*exact.shape]} and {[*approximate.shape]})"
        )
    recalled = recalled_edges(exact, approximate)
    one = torch.randint(exact.size(1), (len(exact), 1), generator=generator)
    hits = int(recalled.gather(1, one).sum())
    estimate = float(recalled.double().mean())
    lower = min(recall_lower_bound(hits, len(exact)), estimate)
    return RecallCertificate(estimate, lower, len(exact), hits)


def recalled_edges(exact: Tensor, approximate: Tensor) -> Tensor:
    """Mask of the exact neighbours that are among the approximate ones.

    Args:
        exact: Exact neighbours.
        approximate: Neighbours of the same rows in another graph.

    Returns:
        bool, like ``exact``.

    Shapes:
        exact: ``[n, k]``; approximate: ``[n, k']``.

    Example:
        >>> recalled_edges(torch.tensor([[3, 7]]), torch.tensor([[7, 9]])).tolist()
        [[False, True]]
    """
    return torch.stack(
        [(approximate == column[:, None]).any(1) for column in exact.T], 1
    )


def recall_lower_bound(hits: int, trials: int, confidence: float = 0.99) -> float:
    """One-sided Clopper-Pearson lower bound of a probability.

    Args:
        hits: Successes.
        trials: Independent trials.
        confidence: Probability with which the bound holds, at least.

    Returns:
        The bound, 0 where nothing succeeded.

    Raises:
        ValueError: ``hits`` is not between 0 and ``trials``.

    Example:
        >>> round(recall_lower_bound(10, 10), 4)  # 0.01 ** (1 / 10)
        0.631
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"hits must be between 0 and trials (got {hits} of {trials})")
    if hits == 0:
        return 0.0
    return float(betaincinv(hits, trials - hits + 1, 1 - confidence))
