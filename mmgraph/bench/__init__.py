"""Many runs: specs, recipes, run directories, and benchmarks that can resume."""

from mmgraph.bench.benchmark import Benchmark, run_benchmark
from mmgraph.bench.config import RunConfig, run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.recipe import load_recipe
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import ModelSpec, parse_spec
from mmgraph.bench.systems import list_systems, system_options
from mmgraph.bench.training import evaluate_run, recommend_run, train_run

__all__ = [
    "Benchmark",
    "DataSource",
    "ModelSpec",
    "RunConfig",
    "evaluate_run",
    "list_systems",
    "load_recipe",
    "load_run",
    "parse_spec",
    "recommend_run",
    "run_benchmark",
    "run_config",
    "run_experiment",
    "system_options",
    "train_run",
]
