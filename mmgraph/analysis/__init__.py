"""Reports of runs and catalogues: comparison, leaderboard, redundancy, experiments."""

from mmgraph.analysis.compare import compare_systems, comparison_table
from mmgraph.analysis.leaderboard.published import published, recognise
from mmgraph.analysis.leaderboard.render import (
    to_html,
    to_markdown,
    to_table,
    write_leaderboard,
)
from mmgraph.analysis.leaderboard.table import Leaderboard, build_leaderboard
from mmgraph.analysis.per_user import PerUserMetrics, load_per_user
from mmgraph.analysis.redundancy import Diagnosis, diagnose, write_diagnosis
from mmgraph.analysis.statistics.significance import holm, paired_comparison

__all__ = [
    "Diagnosis",
    "Leaderboard",
    "PerUserMetrics",
    "build_leaderboard",
    "compare_systems",
    "comparison_table",
    "diagnose",
    "holm",
    "load_per_user",
    "paired_comparison",
    "published",
    "recognise",
    "to_html",
    "to_markdown",
    "to_table",
    "write_diagnosis",
    "write_leaderboard",
]
