"""Comparison of runs with each other and with the papers."""

from __future__ import annotations

from mmgraph.analysis.html import to_html
from mmgraph.analysis.leaderboard import Leaderboard, build_leaderboard
from mmgraph.analysis.redundancy import Diagnosis, diagnose
from mmgraph.analysis.render import to_markdown
from mmgraph.analysis.significance import holm, paired_comparison
from mmgraph.analysis.targets import published, recognise

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
