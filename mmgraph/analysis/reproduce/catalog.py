"""The papers' experiments by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmgraph.analysis.reproduce.context import DEFAULT_MODEL, ExperimentContext
from mmgraph.analysis.reproduce.experiments import (
    ablation,
    accuracy,
    clear_theorems,
    control,
    convergence,
    data_table,
    efficiency,
    embedding,
    redundancy,
    spectrum,
    sweep,
    theorems,
)
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.bench.spec import ModelSpec, check_names, parse_spec

ALL, CONTROL = "all", "control"


@dataclass(frozen=True)
class PaperExperiment:
    """A table or figure of a paper.

    Args:
        title: Its content, in a line.
        run: Runs it.
        systems: The systems it trains, for checking options.
        grid: Values it goes through, by name; the user may give others.
        plots: True if it draws figures.
    """

    title: str
    run: Callable[[ExperimentContext], ExperimentResult]
    systems: Sequence[str] = ()
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    plots: bool = True


EXPERIMENTS: dict[str, PaperExperiment] = {
    "clear-table1": PaperExperiment(
        "CLEAR, Table 1: statistics of the data", data_table.data_table, plots=False
    ),
    "clear-table2": PaperExperiment(
        "CLEAR, Table 2: all systems",
        accuracy.clear_table_2,
        accuracy.CLEAR_TABLE_2,
        plots=False,
    ),
    "clear-table3": PaperExperiment(
        "CLEAR, Table 3: the plug-in on VBPR and FREEDOM",
        accuracy.clear_table_3,
        accuracy.CLEAR_TABLE_3,
        plots=False,
    ),
    "clear-table4": PaperExperiment(
        "CLEAR, Table 4: memory and time",
        efficiency.clear_table_4,
        efficiency.CLEAR_TABLE_4,
        plots=False,
    ),
    "clear-figure1": PaperExperiment(
        "CLEAR, Figure 1: redundancy of the raw features",
        redundancy.clear_figure_1,
        grid={"k": (5, 10, 20, 50, 100)},
    ),
    "clear-figure3": PaperExperiment(
        "CLEAR, Figure 3: ablation",
        ablation.clear_figure_3,
        ["CLEAR"],
        grid={"energy": (0.5, 0.7, 0.8, 0.9, 0.95)},
    ),
    "clear-figure4": PaperExperiment(
        "CLEAR, Figure 4: strength and rank",
        sweep.clear_figure_4,
        ["CLEAR"],
        grid={"strength": (0.3, 0.5, 0.7, 0.9), "rank": (2, 4, 8, 16, 20)},
    ),
    "clear-figure5": PaperExperiment(
        "CLEAR, Figure 5: singular values before and after",
        spectrum.clear_figure_5,
        ["CLEAR"],
    ),
    "clear-figure6": PaperExperiment(
        "CLEAR, Figure 6: modalities in a t-SNE plot",
        embedding.clear_figure_6,
        ["CLEAR"],
        grid={"items": (2000,)},
    ),
    "clear-theorems": PaperExperiment(
        "CLEAR, Theorems 1, 6, 8 and Corollaries 3, 7 in numbers",
        clear_theorems.clear_theorems,
        ["CLEAR"],
        grid={"classes": (20,)},
        plots=False,
    ),
    "sea-table1": PaperExperiment(
        "SEA, Table 1: statistics of the data", data_table.data_table, plots=False
    ),
    "sea-table2": PaperExperiment(
        "SEA, Table 2: all systems",
        accuracy.sea_table_2,
        accuracy.SEA_TABLE_2,
        plots=False,
    ),
    "sea-table3": PaperExperiment(
        "SEA, Table 3: the plug-in on VBPR and FREEDOM",
        accuracy.sea_table_3,
        accuracy.SEA_TABLE_3,
        plots=False,
    ),
    "sea-table4": PaperExperiment(
        "SEA, Table 4: alignment and distance",
        accuracy.sea_table_4,
        accuracy.SEA_TABLE_4,
        plots=False,
    ),
    "sea-table5": PaperExperiment(
        "SEA, Table 5: memory and time",
        efficiency.sea_table_5,
        efficiency.SEA_TABLE_5,
        plots=False,
    ),
    "sea-figure3": PaperExperiment(
        "SEA, Figure 3: ablation", ablation.sea_figure_3, ["SEA"]
    ),
    "sea-figure4": PaperExperiment(
        "SEA, Figure 4: weights and temperature",
        sweep.sea_figure_4,
        ["SEA"],
        grid={
            "align_weight": (0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 1),
            "distance_weight": (0, 0.001, 0.003, 0.006, 0.01, 0.05, 0.1),
            "temperature": (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1),
        },
    ),
    "sea-figure5": PaperExperiment(
        "SEA, Figure 5: parts of MICRO in a t-SNE plot",
        embedding.sea_figure_5,
        [embedding.MICRO],
        grid={"items": (200,)},
    ),
    "sea-figure6": PaperExperiment(
        "SEA, Figure 6: parts of SEA in a t-SNE plot",
        embedding.sea_figure_6,
        ["SEA"],
        grid={"items": (200,)},
    ),
    "sea-convergence": PaperExperiment(
        "SEA: validation by epoch, beside its authors' training logs",
        convergence.sea_convergence,
        convergence.SYSTEMS,
    ),
    "sea-theorems": PaperExperiment(
        "SEA, Theorems 1 and 2 in numbers",
        theorems.sea_theorems,
        grid={"dim": (3, 8, 16, 32, 64, 128)},
    ),
    CONTROL: PaperExperiment(
        "Control: can these data tell whether a system uses its features?",
        control.control,
        [DEFAULT_MODEL],
        grid={"keep_graph": (1,)},
        plots=False,
    ),
}


def systems_of(chosen: Mapping[str, PaperExperiment]) -> list[ModelSpec]:
    """The systems that experiments train.

    Example:
        >>> [str(spec) for spec in systems_of(select(["clear-figure4"]))]
        ['CLEAR']
    """
    names = {name for experiment in chosen.values() for name in experiment.systems}
    return [parse_spec(name) for name in sorted(names)]


def select(names: Sequence[str]) -> dict[str, PaperExperiment]:
    """The named experiments, in the order of the table; ``all`` is every one.

    Raises:
        UserError: If a name is unknown, with the nearest and the full list.

    Example:
        >>> list(select(["sea-theorems", "clear-figure1"]))
        ['clear-figure1', 'sea-theorems']
    """
    check_names(names, [*EXPERIMENTS, ALL], "experiment")
    chosen = set(EXPERIMENTS) if ALL in names else set(names)
    return {name: e for name, e in EXPERIMENTS.items() if name in chosen}
