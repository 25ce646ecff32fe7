"""Many runs: specs, recipes, run directories, and benchmarks that can resume."""

from mmgraph.bench.benchmark import Benchmark
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.recipe import load_recipe
from mmgraph.bench.run_directory import load_run
from mmgraph.bench.spec import ModelSpec, parse_spec

__all__ = [
    "Benchmark",
    "ModelSpec",
    "load_recipe",
    "load_run",
    "parse_spec",
    "run_experiment",
]
