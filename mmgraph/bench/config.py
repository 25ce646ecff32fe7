"""From a spec and the user's settings to every option of one training run.

Names are checked here, against what the constructors declare; values are checked by
the constructors, which see them once, when the model and the trainer are built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmgraph.bench.spec import ModelSpec, check_names, check_sizes, parse_spec
from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.models.registry import model_options, resolve_model, resolve_plugin
from mmgraph.options import Option, declared_options
from mmgraph.train.epoch_seed import DRAWS
from mmgraph.train.trainer import Trainer
from mmgraph.train.training_options import MODELS_OWN

# Seed and device have flags of their own; the other two change no result.
_NOT_OPTIONS = {"seed", "device", "ks", "checkpoint_seconds"}
#: Options of the trainer that older runs do not name, and had by default.
_LATER = {"sampled_neighbors", "optimizer", "shard_embeddings"}
#: Options of systems that older runs do not name, and what they had.
_LATER_OPTIONS: Mapping[str, Any] = {
    "train_features": False,
    "feature_scale": "raw",
    "fuse": "concat",
    "reg_on": "preference",
    "directions": "covariance",
    "stop_gradient": False,
    "penalty": None,
    "effective_rank": False,
    "graph_rank": 0,
    "graph_strength": 0.9,
}
_LATER_OF_PLUGINS: Mapping[str, Any] = {"center_output": False}
#: What is no option of a system, but can be given otherwise.
_GIVEN_OTHERWISE = {
    "fidelity": "write NAME@released, or give --fidelity where the command has it",
    "plugin": "write NAME+PLUGIN",
    **{
        name: f"give it as --{name}"
        for name in ("data", "device", "jobs", "seed", "seeds", "split", "threads")
    },
}


@dataclass(frozen=True)
class RunConfig:
    """One system with every option spelt out.

    ``label`` is the name the user gave; ``options`` go to the model and its plug-in,
    ``trainer`` to the trainer.
    """

    label: str
    spec: ModelSpec
    options: dict[str, Any]
    trainer: dict[str, Any]

    def key(self, seed: int | None, data_sha256: str) -> str:
        """Digest that is equal exactly when a run would be the same again.

        Example:
            >>> run = run_config(ModelSpec("MF-BPR"))
            >>> run.key(1, "") == run.key(1, ""), run.key(1, "") == run.key(2, "")
            (True, False)
        """
        known = trainer_options()
        trainer = {
            name: value
            for name, value in self.trainer.items()
            if name not in _LATER or value != known[name].default
        }
        later = {**_LATER_OPTIONS, **(_LATER_OF_PLUGINS if self.spec.plugin else {})}
        options = {
            name: value
            for name, value in self.options.items()
            if name not in later or value != later[name]
        }
        parts = [self.label, options, trainer, seed, data_sha256, DRAWS]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _System:
    """A spec in the registry's spelling, and what its constructors declare."""

    spec: ModelSpec
    model_class: type[Recommender]
    options: dict[str, Option]


def trainer_options() -> dict[str, Option]:
    """Options of the trainer that change results, by name.

    Example:
        >>> trainer_options()["patience"].default
        20
    """
    options = declared_options(Trainer)
    return {name: o for name, o in options.items() if name not in _NOT_OPTIONS}


def canonical(spec: ModelSpec) -> ModelSpec:
    """The spec in the registry's spelling.

    Raises:
        UserError: If the model, the plug-in or an option does not exist.

    Example:
        >>> str(canonical(ModelSpec("light_gcn")))
        'LightGCN'
    """
    return _declared(spec).spec


def check_settings(settings: Mapping[str, Any], specs: Iterable[ModelSpec]) -> None:
    """Refuse a setting that neither the trainer nor any of the systems has.

    Raises:
        UserError: If there is no such option, with the nearest name and the full list.

    Example:
        >>> check_settings({"epochs": 5, "num_layers": 2}, [ModelSpec("LightGCN")])
    """
    check_sizes(settings)
    systems = [_declared(spec) for spec in specs]
    known = set(trainer_options()).union(*(system.options for system in systems))
    owners = {system.spec.model for system in systems}
    _check_options(settings, sorted(known), owners.pop() if len(owners) == 1 else "")


def without_option(
    settings: Iterable[str], specs: Iterable[ModelSpec]
) -> dict[str, list[str]]:
    """Settings that only some systems have, and the systems that go without.

    Args:
        settings: Names that the trainer or one of the systems has.
        specs: The systems.

    Example:
        >>> specs = [ModelSpec("LightGCN"), ModelSpec("MF-BPR")]
        >>> without_option(["num_layers", "lr"], specs)
        {'num_layers': ['MF-BPR']}
    """
    systems = [_declared(spec) for spec in specs]
    lacking = {
        name: [str(s.spec) for s in systems if name not in s.options]
        for name in settings
        if name not in trainer_options()
    }
    return {name: systems for name, systems in lacking.items() if systems}


def check_values(settings: Mapping[str, Any], specs: Iterable[ModelSpec]) -> None:
    """Refuse a value that the trainer or one of the systems would refuse.

    For files, whose mistakes are reported with the file, before anything is built.

    Raises:
        UserError: If a value is of another type, no choice, or out of range.

    Example:
        >>> check_values({"lr": -1.0}, [])
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: Trainer: 'lr' must be above 0 or null (got -1.0) - \
correct the option
    """
    declared = {"Trainer": trainer_options()}
    declared |= {spec.model: _declared(spec).options for spec in specs}
    for owner, options in declared.items():
        for name in settings.keys() & options.keys():
            options[name].check(settings[name], owner)


def run_config(
    spec: ModelSpec, settings: Mapping[str, Any] | None = None, *, strict: bool = False
) -> RunConfig:
    """Every option of a run: the spec's own, then the settings, then the defaults.

    Args:
        spec: The system. Its options win over ``settings``.
        settings: Options of the trainer or of models; those that this system does not
            have are left out, so that one set serves many systems.
        strict: Refuse settings that this system does not have.

    Raises:
        UserError: If the spec names something that does not exist.

    Example:
        >>> run = run_config(ModelSpec("LightGCN"), {"epochs": 5, "num_layers": 2})
        >>> run.options["num_layers"], run.trainer["epochs"], run.trainer["lr"]
        (2, 5, 0.001)
    """
    system, of_trainer = _declared(spec), trainer_options()
    settings = settings or {}
    check_sizes(settings)
    if strict:
        known = [*system.options, *of_trainer]
        _check_options(settings, known, system.spec.model)
    given = {**settings, **spec.options}
    options = {n: given.get(n, o.default) for n, o in system.options.items()}
    trainer = {n: given.get(n, o.default) for n, o in of_trainer.items()}
    for name in MODELS_OWN:  # spelt out, also where they are the model's
        if trainer[name] is None:
            trainer[name] = getattr(system.model_class, name)
    return RunConfig(str(system.spec), system.spec, options, trainer)


def recorded_config(record: Mapping[str, Any]) -> RunConfig:
    """The run that a line of results or a ``run.json`` is of.

    Args:
        record: It; its ``spec``, ``options`` and ``trainer`` are read.

    Raises:
        UserError: If the system is unknown, or has an option no longer.

    Example:
        >>> run = run_config(ModelSpec("LightGCN"), {"num_layers": 2})
        >>> recorded_config({**vars(run), "spec": run.label}) == run
        True
    """
    settings = {**record["options"], **record["trainer"]}
    return run_config(parse_spec(record["spec"]), settings, strict=True)


def _check_options(given: Iterable[str], known: Sequence[str], owner: str) -> None:
    for name in given:
        if name in _GIVEN_OTHERWISE and name not in known:
            of = f" of {owner}" if owner else ""
            raise UserError(f"unknown option {name!r}{of}", _GIVEN_OTHERWISE[name])
    check_names(given, known, "option", of=owner)


def _declared(spec: ModelSpec) -> _System:
    name, model_class, _ = resolve_model(spec.model)
    plugin = None if spec.plugin is None else resolve_plugin(spec.plugin)[0]
    options = model_options(name, plugin)
    options.pop("fidelity", None)  # part of the spec
    check_sizes(spec.options)
    _check_options(spec.options, [*options, *trainer_options()], name)
    named = ModelSpec(name, plugin, spec.fidelity, spec.options)
    return _System(named, model_class, options)
