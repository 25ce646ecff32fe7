"""Options that a benchmark or a search has chosen, for another training."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, NamedTuple

from mmgraph.bench.records import ResultLine
from mmgraph.bench.results_folder import RESULTS, read_results
from mmgraph.bench.spec import ModelSpec
from mmgraph.errors import UserError, unknown_name
from mmgraph.files import read_json
from mmgraph.tuning.search import RESULT


class Chosen(NamedTuple):
    """What was chosen for a system.

    Attributes:
        settings: Options of the model and of the trainer.
        best_epoch: The epoch that was best; the median over seeds.
    """

    settings: dict[str, Any]
    best_epoch: int


def chosen_options(folder: str | Path, spec: ModelSpec) -> Chosen:
    """The options that were chosen for a system.

    Args:
        folder: A folder of ``mmgraph bench`` or of ``mmgraph tune``.
        spec: The system, as it was named there, in the registry's spelling.

    Raises:
        UserError: If the folder is neither, is damaged, has no such system, or has it
            with different options or data.
    """
    folder, name = Path(folder), str(spec)
    if (folder / RESULT).is_file():
        found = read_json(folder / RESULT, fix="search again in another folder")
        _check_known(name, [found["spec"]], folder)
        settings = {**found["settings"], **found["best"]["options"]}
        return Chosen(settings, found["best"]["epoch"])
    if not (folder / RESULTS).is_file():
        what = "not a folder of a benchmark or a search"
        raise UserError(what, "give one of mmgraph bench or mmgraph tune", path=folder)
    lines = [line for line in read_results(folder) if line["trainer"]]
    _check_known(name, [line["spec"] for line in lines], folder)
    runs = [line for line in lines if line["spec"] == name]
    _check_one_choice(name, runs, folder)
    epochs = statistics.median_high(line["best_epoch"] for line in runs)
    return Chosen({**runs[0]["options"], **runs[0]["trainer"]}, max(1, epochs))


def _check_one_choice(name: str, runs: list[ResultLine], folder: Path) -> None:
    facts = [
        {**run["options"], **run["trainer"], "data_sha256": run["data_sha256"]}
        for run in runs
    ]
    for other in facts[1:]:
        for option in facts[0] | other:
            values = facts[0].get(option), other.get(option)
            if values[0] != values[1]:
                raise UserError(
                    f"holds runs of {name} with {option} {values[0]!r} and "
                    f"{values[1]!r}",
                    "give a folder with one choice, or options with --set",
                    path=folder,
                )


def _check_known(name: str, known: list[str], folder: Path) -> None:
    if name not in known:
        error = unknown_name("system", name, dict.fromkeys(known))
        raise UserError(error.what, error.fix, path=folder)
