"""Training, evaluation, experiments and what they leave on disk."""

from mmgraph.train.benchmark import Benchmark
from mmgraph.train.evaluate import evaluate, recommend
from mmgraph.train.experiment import run_experiment
from mmgraph.train.history import History
from mmgraph.train.recipe import load_recipe
from mmgraph.train.run_directory import load_run
from mmgraph.train.spec import ModelSpec, parse_spec
from mmgraph.train.trainer import Trainer

__all__ = [
    "Benchmark",
    "History",
    "ModelSpec",
    "Trainer",
    "evaluate",
    "load_recipe",
    "load_run",
    "parse_spec",
    "recommend",
    "run_experiment",
]
