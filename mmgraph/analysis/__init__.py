"""Comparison of runs with each other and with the papers."""

from __future__ import annotations

from mmgraph.analysis.leaderboard.html import to_html
from mmgraph.analysis.leaderboard.published import published, recognise
from mmgraph.analysis.leaderboard.render import to_markdown
from mmgraph.analysis.leaderboard.table import Leaderboard, build_leaderboard
from mmgraph.analysis.redundancy import Diagnosis, diagnose
from mmgraph.analysis.statistics.significance import holm, paired_comparison

__all__ = [
    "Diagnosis",
    "Leaderboard",
    "build_leaderboard",
    "diagnose",
    "holm",
    "paired_comparison",
    "published",
    "recognise",
    "to_html",
    "to_markdown",
]
