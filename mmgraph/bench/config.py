"""From a spec and the user's settings to every option of one training run."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmgraph.bench.spec import ModelSpec, check_names
from mmgraph.models.registry import model_options, resolve_model, resolve_plugin
from mmgraph.options import Option, declared_options
from mmgraph.train.trainer import Trainer

# Seed and device have flags of their own; the other two change no result.
_NOT_OPTIONS = {"seed", "device", "ks", "checkpoint_seconds"}


@dataclass(frozen=True)
class Resolved:
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
            >>> run = resolve(ModelSpec("MF-BPR"))
            >>> run.key(1, "") == run.key(1, ""), run.key(1, "") == run.key(2, "")
            (True, False)
        """
        parts = [self.label, self.options, self.trainer, seed, data_sha256]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def trainer_options() -> dict[str, Any]:
    """Options of the trainer that change results, with their defaults.

    Example:
        >>> trainer_options()["patience"]
        20
    """
    parameters = inspect.signature(Trainer).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in _NOT_OPTIONS}


def canonical(spec: ModelSpec) -> ModelSpec:
    """The spec in the registry's spelling.

    Raises:
        UserError: If the model, the plug-in or an option does not exist, or the value
            of an option is of another type.

    Example:
        >>> str(canonical(ModelSpec("light_gcn")))
        'LightGCN'
    """
    model = resolve_model(spec.model)[0]
    plugin = None if spec.plugin is None else resolve_plugin(spec.plugin)[0]
    named = ModelSpec(model, plugin, spec.fidelity, spec.options)
    known = _model_options(named) | trainer_options()
    check_names(spec.options, known, f"option of {model}")
    _check(spec.options, _declared(named), model)
    return named


def check_settings(settings: Mapping[str, Any], specs: Iterable[ModelSpec]) -> None:
    """Refuse a setting that neither the trainer nor any of the systems has.

    Raises:
        UserError: If there is no such option, with the nearest name and the full list,
            or its value is of another type than a system wants.

    Example:
        >>> check_settings({"epochs": 5, "num_layers": 2}, [ModelSpec("LightGCN")])
    """
    given = list(specs)
    known = set(trainer_options()).union(*map(_model_options, given))
    check_names(settings, known, "option")
    _check(settings, declared_options(Trainer), "the trainer")
    for spec in given:
        _check(settings, model_options(spec.model, spec.plugin), spec.model)


def resolve(spec: ModelSpec, settings: Mapping[str, Any] | None = None) -> Resolved:
    """Every option of a run: the spec's own, then the settings, then the defaults.

    Args:
        spec: The system. Its options win over ``settings``.
        settings: Options of the trainer or of models; those that this system does not
            have are left out, so that one set serves many systems.

    Raises:
        UserError: If the spec names something that does not exist, or the value of an
            option is of another type.

    Example:
        >>> run = resolve(ModelSpec("LightGCN"), {"epochs": 5, "num_layers": 2})
        >>> run.options["num_layers"], run.trainer["epochs"], run.trainer["lr"]
        (2, 5, 0.001)
    """
    named = canonical(spec)
    wanted = {**(settings or {}), **named.options}
    _check(wanted, _declared(named), named.model)
    model, trainer = _model_options(named), trainer_options()
    options = {key: wanted.get(key, default) for key, default in model.items()}
    steps = {key: wanted.get(key, default) for key, default in trainer.items()}
    # Spelt out, also where they are the model's.
    for own in ("lr", "weight_decay", "lr_decay"):
        if steps[own] is None:
            steps[own] = getattr(resolve_model(named.model)[1], own)
    return Resolved(str(named), named, options, steps)


def _model_options(spec: ModelSpec) -> dict[str, Any]:
    options = model_options(spec.model, spec.plugin)
    return {key: o.default for key, o in options.items() if key != "fidelity"}


def _declared(spec: ModelSpec) -> dict[str, Option]:
    return model_options(spec.model, spec.plugin) | declared_options(Trainer)


def _check(
    values: Mapping[str, Any], declared: Mapping[str, Option], owner: str
) -> None:
    for name, value in values.items():
        if name in declared:
            declared[name].check(value, owner)
