"""The systems, and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch_geometric.data import HeteroData

from mmgraph.bench.config import (
    RunConfig,
    canonical,
    run_config,
    trainer_options,
)
from mmgraph.bench.experiment import build, make_trainer
from mmgraph.bench.spec import ModelSpec
from mmgraph.data import from_interactions
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.models.registry import (
    available_floors,
    available_models,
    available_plugins,
    kind_of,
    model_options,
    resolve_model,
    resolve_plugin,
)
from mmgraph.options import Option

_DIM = 4096  # of the features that systems are tried on; the largest data have it


@dataclass(frozen=True)
class SystemSummary:
    """One row of the table of systems.

    Args:
        name: Its name.
        least_modalities: Item modalities that it needs at least, 0 for systems that
            use no features.
        fidelities: Its fidelities.
        plugins: Plug-ins that attach to it.
        kind: ``"trained"``, or ``"floor"`` for one that others are to be better than.
    """

    name: str
    least_modalities: int
    fidelities: tuple[str, ...]
    plugins: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class SystemOptions:
    """The options of one system, those of its plug-in among them, and of its training.

    Defaults are those of this system: a spec's own options and the model's own
    learning rate are filled in.
    """

    spec: ModelSpec
    options: list[Option]
    trainer: list[Option]


def list_systems() -> list[SystemSummary]:
    """A row per system, in the order of the registry, then one per floor.

    Example:
        >>> {s.name: s.plugins for s in list_systems()}["CLEAR"]
        ('SEA',)
    """
    return [_summary(name) for name in (*available_models(), *available_floors())]


def system_options(spec: ModelSpec) -> SystemOptions:
    """The options of a system with defaults, domains and help.

    Raises:
        UserError: If the model, the plug-in or an option does not exist, or no data
            could make the system right.

    Example:
        >>> described = system_options(ModelSpec("vbpr", "clear"))
        >>> {o.name: o.domain for o in described.options}["rank"]
        'an integer at least 0'
    """
    check_system(spec)
    run = run_config(spec)
    declared = model_options(run.spec.model, run.spec.plugin)
    options = [replace(declared[n], default=value) for n, value in run.options.items()]
    trainer = [
        replace(o, default=run.trainer[name]) for name, o in trainer_options().items()
    ]
    return SystemOptions(canonical(spec), options, trainer)


def check_system(spec: ModelSpec) -> None:
    """Refuse a system that cannot be built on any data.

    It is built on data made up for it, with the modalities that its options name.

    Raises:
        UserError: If a name is unknown, an option may not have its value, or the model
            does not go with the plug-in, the fidelity or the options.

    Example:
        >>> check_system(ModelSpec("MF-BPR", "CLEAR"))
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: MF-BPR has no modality encoders for the plug-in - \
choose from VBPR, MMGCN, DualGNN, LATTICE, MICRO, SLMRec, PAMD, BM3, MMSSL, FREEDOM, \
MGCN, LGMRec, MENTOR, CLEAR, SEA
    """
    run = run_config(spec)
    make_trainer(run, seed=0, device="cpu")
    error = refusal(run, _stand_in(spec.options))
    if error is not None:
        raise error


def refusal(run: RunConfig, train: HeteroData) -> UserError | None:
    """The error with which a system refuses its data or its options, if it does.

    Parameters are of the device ``meta``, where they take no memory and no time.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, valid, test = load_dataset("synthetic")
        >>> refusal(run_config(ModelSpec("VBPR")), train) is None
        True
    """
    try:
        with torch.device("meta"):
            build(run, train)
    except UserError as error:
        return error
    except Exception:  # a constructor that reads what it draws needs real tensors
        build(run, train)
    return None


def _stand_in(options: Mapping[str, Any]) -> HeteroData:
    """A tiny data set with two modalities or more, those that options name first."""
    named = [value for value in options.values() if isinstance(value, str)]
    named += [
        key for value in options.values() if isinstance(value, dict) for key in value
    ]
    names = list(dict.fromkeys([*named, "visual", "textual"]))
    names = names[: max(2, len(set(named)))]
    features = {name: torch.zeros(2, _DIM) for name in names}
    return from_interactions([0, 1], [0, 1], features=features)


def _summary(name: str) -> SystemSummary:
    """Found by trying, on the device ``meta``, where parameters have no memory."""
    _, model_class, _ = resolve_model(name)
    least = 0
    if model_class.multimodal:
        least = 1 if _is_built(model_class, 1) else 2
    plugins = [p for p in available_plugins() if _attaches(model_class, p)]
    fidelities, kind = model_class.fidelities, kind_of(name)
    return SystemSummary(name, least, fidelities, tuple(plugins), kind)


def _is_built(model_class: type[Recommender], num_modalities: int) -> bool:
    try:
        _build(model_class, num_modalities)
    except UserError:
        return False
    return True


def _attaches(model_class: type[Recommender], plugin: str) -> bool:
    try:
        with torch.device("meta"):
            _build(model_class, 2).attach(resolve_plugin(plugin)[1])
    except UserError:
        return False
    return True


def _build(model_class: type[Recommender], num_modalities: int) -> Recommender:
    dims = {f"modality{n}": _DIM for n in range(num_modalities)}
    with torch.device("meta"):
        return model_class(8, 8, dims) if model_class.multimodal else model_class(8, 8)
