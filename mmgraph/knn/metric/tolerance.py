"""How far float32 rounding can move a product of two rows."""

from __future__ import annotations

_ROUNDING = 2.0**-24  # unit roundoff of float32


def product_tolerance(dim: int, metric: str) -> float:
    """A product this far below another cannot have an equal or larger similarity.

    A float32 sum of D products is off by at most ``D u sum|a b|`` in any order of
    summation (Higham, Accuracy and Stability of Numerical Algorithms, 2002, eq. 3.5).
    The sum is at most 1 for rows of length 1 at most, and 3/2 for ``l2``, whose
    products also carry half a squared length. Two products are compared; rounding the
    rows and the final similarity adds a few ``u``, for which 8 are spare.

    Args:
        dim: Columns of the features.
        metric: ``cosine``, ``ip`` or ``l2``.

    Returns:
        The tolerance, for rows scaled to length 1 at most.

    Example:
        >>> product_tolerance(4096, "cosine") < 1e-3
        True
    """
    return (3.2 if metric == "l2" else 2.1) * (dim + 8) * _ROUNDING
