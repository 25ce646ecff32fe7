"""Results over several seeds, and the notes that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgraph.analysis.report.formatting import spread_text


def means_over_seeds(
    lines: Sequence[Mapping[str, Any]], metric: str
) -> dict[str, dict[str, Any]]:
    """Test metric of each system: mean and sd over its seeds (None with one seed).

    Example:
        >>> lines = [
        ...     {"spec": "VBPR", "metrics": {"test": {"recall@20": value}}}
        ...     for value in (0.25, 0.75)
        ... ]
        >>> means_over_seeds(lines, "recall@20")["VBPR"]["mean"]
        0.5
    """
    by_spec: dict[str, list[float]] = {}
    for line in lines:
        by_spec.setdefault(line["spec"], []).append(line["metrics"]["test"][metric])
    return {
        spec: {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "values": values,
        }
        for spec, values in by_spec.items()
    }


def mean_text(entry: Mapping[str, Any] | None) -> str:
    """Mean ± sd of an entry of :func:`means_over_seeds`; nothing for None.

    Example:
        >>> mean_text({"mean": 0.0754, "sd": None}), mean_text(None)
        ('0.0754', '')
    """
    return "" if entry is None else spread_text(entry["mean"], entry["sd"])


def bars_note(seeds: Sequence[int]) -> str:
    """The end of a caption that explains the lines at a point or bar.

    Example:
        >>> bars_note([999, 1000])
        '; means over 2 seeds, lines one standard deviation either way'
    """
    if len(seeds) == 1:
        return ""
    return f"; means over {len(seeds)} seeds, lines one standard deviation either way"


def seeds_note(seeds: Sequence[int]) -> str:
    """The number of seeds behind a value, as a note.

    Example:
        >>> seeds_note([999])
        'One seed (999): differences of a few per cent are within its noise.'
    """
    if len(seeds) == 1:
        return (
            f"One seed ({seeds[0]}): differences of a few per cent are within its "
            "noise."
        )
    names = ", ".join(map(str, seeds))
    return f"Mean ± sample standard deviation over the seeds {names}."
