"""The papers' experiments by name, over any data."""

from __future__ import annotations

from mmgraph.analysis.reproduce.catalog import EXPERIMENTS, select, systems_of
from mmgraph.analysis.reproduce.context import ExperimentContext
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.analysis.reproduce.runner import reproduce_experiments, run_experiments

__all__ = [
    "EXPERIMENTS",
    "ExperimentContext",
    "ExperimentResult",
    "reproduce_experiments",
    "run_experiments",
    "select",
    "systems_of",
]
