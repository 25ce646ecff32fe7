"""The published numbers that a leaderboard is set beside.

Sources: Zhan et al., *CLEAR: Null-Space Projection for Cross-Modal De-Redundancy in
Multimodal Recommendation*, Tables 2 to 4 and section 4.3; *It is Never Too Late to
Mend: Separate Learning for Multimedia Recommendation* (SEA), Tables 2 to 5, and the
training logs beside its public code; Wei et al., *Multi-Modal Self-Supervised Learning
for Recommendation* (MMSSL), 2023, TikTok.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _targets() -> dict[str, Any]:
    text = (
        files("mmgraph.analysis.leaderboard")
        .joinpath("published.json")
        .read_text("utf-8")
    )
    targets: dict[str, Any] = json.loads(text)
    return targets


def recognise(num_users: int, num_items: int, num_interactions: int) -> str | None:
    """Name of the published data set with these counts, whatever its folder is called.

    Args:
        num_users: Users in all splits.
        num_items: Items in the catalogue, also those never interacted with.
        num_interactions: Interactions of all splits together, as loaded.

    Returns:
        ``"baby"``, ``"sports"``, ``"clothing"``, ``"tiktok"``, or None.

    Example:
        >>> recognise(19445, 7050, 160792)
        'baby'
    """
    datasets: dict[str, dict[str, int]] = _targets()["datasets"]
    for name, counts in datasets.items():
        # Rows of users without training are dropped when a split is loaded.
        dropped = counts["interactions"] - num_interactions
        same = (num_users, num_items) == (counts["users"], counts["items"])
        if same and 0 <= dropped <= 1e-3 * counts["interactions"]:
            return name
    return None


def published_counts(dataset: str | None) -> dict[str, int] | None:
    """Published users, items and interactions of a data set.

    Example:
        >>> published_counts("baby")
        {'users': 19445, 'items': 7050, 'interactions': 160792}
    """
    known: dict[str, dict[str, int]] = _targets()["datasets"]
    return dict(known[dataset]) if dataset in known else None


def published(
    dataset: str | None, model: str, table: str | None = None
) -> dict[str, Any] | None:
    """Published test metrics of a system on a data set.

    Args:
        dataset: A name that :func:`recognise` returns.
        model: Spelling of the papers, with ``+PLUGIN`` where one is attached
            (``FREEDOM+CLEAR``); SEA's four variants are ``SEAa`` to ``SEAd``.
        table: A table that prints a row of its own for some system, as ``"CLEAR,
            Table 3"`` does for FREEDOM.

    Returns:
        ``{"recall@10": ..., "source": "..."}``, or None where nothing is published.

    Example:
        >>> published("baby", "LightGCN")["recall@20"]
        0.0754
        >>> published("baby", "SEA:align_weight=0") is None
        True
    """
    rows = _targets()["results"].get(dataset, {})
    rows = rows | _targets()["own_rows"].get(table, {}).get(dataset, {})
    return dict(rows[model]) if model in rows else None


def published_cost(dataset: str | None, model: str) -> dict[str, Any] | None:
    """Published memory and seconds per epoch of a system, on a machine of its own.

    Example:
        >>> published_cost("baby", "CLEAR")["seconds_per_epoch"]
        2.3
    """
    rows = _targets()["costs"].get(dataset, {})
    return dict(rows[model]) if model in rows else None


def published_change(dataset: str | None, model: str) -> dict[str, Any] | None:
    """Published relative change of a metric when a part of a system is taken away.

    Example:
        >>> published_change("baby", "CLEAR:strength=0")["recall@20"]
        -0.024
    """
    rows = _targets()["changes"].get(dataset, {})
    return dict(rows[model]) if model in rows else None


def published_logs(model: str) -> dict[str, dict[str, Any]]:
    """What the training logs of a system's authors say, by data set.

    Args:
        model: The system; only SEA's authors published logs.

    Returns:
        ``epochs`` that were trained, ``batches_per_epoch``, ``curve`` (recall@20 on
        validation after some of the epochs, counted from 1, the best one among them)
        and ``test`` (recall@20 at the best one).

    Example:
        >>> log = published_logs("SEA")["baby"]
        >>> log["epochs"], log["curve"][0], max(v for _, v in log["curve"])
        (107, [1, 0.0513], 0.0996)
    """
    logs: dict[str, dict[str, Any]] = _targets()["logs"]
    return {dataset: dict(log[model]) for dataset, log in logs.items() if model in log}


def caveat(dataset: str | None) -> str | None:
    """A warning for whoever compares with the published rows of a data set, or None.

    Example:
        >>> "inflated" in caveat("tiktok")
        True
    """
    notes: dict[str | None, str] = _targets()["notes"]
    return notes.get(dataset)


def counts_of(line: Mapping[str, Any]) -> tuple[int, int, int]:
    """Users, items and interactions of all splits, from one line of results.

    Example:
        >>> counts = {"users": 3, "items": 4, "train": 5, "valid": 1, "test": 1}
        >>> counts_of({"counts": counts})
        (3, 4, 7)
    """
    counts = line["counts"]
    total = counts["train"] + counts["valid"] + counts["test"]
    return counts["users"], counts["items"], total
