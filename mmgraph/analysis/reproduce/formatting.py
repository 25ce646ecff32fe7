"""Small things the experiments say in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgraph.analysis.report.page import Table

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
SHORT = {"recall@10": "R@10", "recall@20": "R@20", "ndcg@10": "N@10", "ndcg@20": "N@20"}


def means(lines: Sequence[Mapping[str, Any]], metric: str) -> dict[str, dict[str, Any]]:
    """Test metric of each system: mean and sd over its seeds (None with one seed).

    Example:
        >>> lines = [
        ...     {"spec": "VBPR", "metrics": {"test": {"recall@20": value}}}
        ...     for value in (0.25, 0.75)
        ... ]
        >>> means(lines, "recall@20")["VBPR"]["mean"]
        0.5
    """
    values: dict[str, list[float]] = {}
    for line in lines:
        values.setdefault(line["spec"], []).append(line["metrics"]["test"][metric])
    return {
        spec: {
            "mean": float(np.mean(found)),
            "sd": float(np.std(found, ddof=1)) if len(found) > 1 else None,
            "values": found,
        }
        for spec, found in values.items()
    }


def spread(entry: Mapping[str, Any]) -> str:
    """Mean ± sd in the papers' four decimals.

    Example:
        >>> spread({"mean": 0.0754, "sd": None}), spread({"mean": 0.1, "sd": 0.002})
        ('.0754', '.1000 ± .0020')
    """
    text = four(entry["mean"])
    return text if entry["sd"] is None else f"{text} ± {four(entry['sd'])}"


def four(value: float | None) -> str:
    """Four decimals without the leading zero; nothing for None.

    Example:
        >>> four(0.0754), four(-0.5), four(None)
        ('.0754', '-.5000', '')
    """
    return "" if value is None else f"{value:.4f}".replace("0.", ".", 1)


def per_cent(value: float | None) -> str:
    """A relative change in per cent, with its sign.

    Example:
        >>> per_cent(-0.024), per_cent(None)
        ('-2.4 %', '')
    """
    return "" if value is None else f"{100 * value:+.1f} %"


def bars_note(seeds: Sequence[int]) -> str:
    """The end of a caption: what the lines at a point or bar are.

    Example:
        >>> bars_note([999, 1000])
        '; means over 2 seeds, lines one standard deviation either way'
    """
    if len(seeds) == 1:
        return ""
    return f"; means over {len(seeds)} seeds, lines one standard deviation either way"


def seeds_note(seeds: Sequence[int]) -> str:
    """How many seeds stand behind a number.

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


def without_unpublished(table: Table) -> Table:
    """The table without columns about the paper in which nothing stands.

    Example:
        >>> table = Table(["System", "R@20", "Paper R@20"], [["SEA", ".09", ""]])
        >>> without_unpublished(table).columns
        ['System', 'R@20']
    """
    keep = [
        n
        for n, name in enumerate(table.columns)
        if "paper" not in name.lower() or any(row[n] for row in table.rows)
    ]
    columns = [table.columns[n] for n in keep]
    return Table(columns, [[row[n] for n in keep] for row in table.rows], table.caption)
