"""Options of the kNN builder and their checks, in the same words at every door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mmgraph.options import Option, PositiveInt, Range

DOMAINS: dict[str, Any] = {
    "k": PositiveInt,
    "metric": Literal["cosine", "ip", "l2"],
    "backend": Literal["auto", "torch", "faiss", "faiss-gpu"],
    "nan": Literal["refuse", "isolate"],
    "zero": Literal["isolate", "refuse"],
    "duplicates": Literal["keep", "collapse"],
    "symmetrise": Literal["none", "union", "mutual"],
    "weights": Literal["similarity", "binary", "symmetric"],
    "recall": Annotated[float, Range(0, 1, "()")],
    "sample": PositiveInt,
    "block_size": PositiveInt | None,
    "block_rows": PositiveInt | None,
    "workers": PositiveInt,
    "attempts": PositiveInt,
}


def check_options(**options: Any) -> None:
    """Refuse options out of their range, before anything is read.

    Args:
        **options: Values by the names in :data:`DOMAINS`.

    Raises:
        UserError: The first that is refused.

    Example:
        >>> check_options(k=10, metric="cos")
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: kNN graph: 'metric' must be one of 'cosine', 'ip', \
'l2' (got 'cos') - correct the option
    """
    for name, value in options.items():
        Option(name, DOMAINS[name], None).check(value, "kNN graph")
