"""The papers' experiments by name, over any data."""

from __future__ import annotations

from mmgraph.analysis.reproduce.catalog import EXPERIMENTS, select, systems_of
from mmgraph.analysis.reproduce.context import Lab
from mmgraph.analysis.reproduce.result import Outcome
from mmgraph.analysis.reproduce.runner import run_experiments

__all__ = ["EXPERIMENTS", "Lab", "Outcome", "run_experiments", "select", "systems_of"]
