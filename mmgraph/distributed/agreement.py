"""What all processes of a training must have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmgraph.distributed.exchange import words_of_all
from mmgraph.errors import UserError


def check_agreement(facts: Mapping[str, Any]) -> None:
    """Refuse processes that were started with other data, options or versions.

    Args:
        facts: By name what must be the same everywhere, as JSON can hold it. The first
            that differs is named.

    Raises:
        UserError: If one differs, in all processes.

    Example:
        >>> check_agreement({"data": "5e1f", "seed": 999})
    """
    first, *others = words_of_all(facts)
    for rank, other in enumerate(others, 1):
        for name, value in first.items():
            if other.get(name) != value:
                raise UserError(
                    f"process {rank} has {name} {other.get(name)!r}, process 0 "
                    f"{value!r}",
                    "start all processes with the same command, data and versions",
                )
