"""Systems by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch_geometric.data import HeteroData

from mmgraph.errors import UserError, name_key, unknown_name
from mmgraph.models.base import Recommender
from mmgraph.models.bm3 import BM3
from mmgraph.models.clear import CLEAR
from mmgraph.models.dual_gnn import DualGNN
from mmgraph.models.floors.content_knn import ContentKNN
from mmgraph.models.floors.item_knn import ItemKNN
from mmgraph.models.freedom import FREEDOM
from mmgraph.models.lattice import LATTICE
from mmgraph.models.layer_gcn import LayerGCN
from mmgraph.models.lgmrec import LGMRec
from mmgraph.models.light_gcn import LightGCN
from mmgraph.models.mentor import MENTOR
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.models.mgcn import MGCN
from mmgraph.models.micro import MICRO
from mmgraph.models.mmgcn import MMGCN
from mmgraph.models.mmssl import MMSSL
from mmgraph.models.pamd import PAMD
from mmgraph.models.parts import own_systems
from mmgraph.models.parts.item_features import FeatureOptions
from mmgraph.models.plugins.base import Plugin
from mmgraph.models.plugins.clear import CLEARPlugin
from mmgraph.models.plugins.sea import SEAPlugin
from mmgraph.models.sea import SEA
from mmgraph.models.slmrec import SLMRec
from mmgraph.models.vbpr import VBPR
from mmgraph.options import Option, declared_options, shown, unknown_option

MODELS: dict[str, type[Recommender]] = {
    "MF-BPR": MFBPR,
    "LightGCN": LightGCN,
    "LayerGCN": LayerGCN,
    "VBPR": VBPR,
    "MMGCN": MMGCN,
    "DualGNN": DualGNN,
    "LATTICE": LATTICE,
    "MICRO": MICRO,
    "SLMRec": SLMRec,
    "PAMD": PAMD,
    "BM3": BM3,
    "MMSSL": MMSSL,
    "FREEDOM": FREEDOM,
    "MGCN": MGCN,
    "LGMRec": LGMRec,
    "MENTOR": MENTOR,
    "CLEAR": CLEAR,
    "SEA": SEA,
}
#: Systems without training, which others are to be better than.
FLOORS: dict[str, type[Recommender]] = {"ItemKNN": ItemKNN, "ContentKNN": ContentKNN}
PLUGINS: dict[str, type[Plugin]] = {"CLEAR": CLEARPlugin, "SEA": SEAPlugin}
#: Names of a model with options set, as the papers' tables use them.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    f"SEA{letter}": ("SEA", {"variant": letter}) for letter in "abcd"
}


def register_model(name: str, model_class: type[Recommender]) -> None:
    """Add a system of your own to the table.

    Args:
        name: Its name, as specs can spell it: a letter, then letters, digits, ``-`` and
            ``_``. It must differ from the others in more than case, ``-``, ``_``.
        model_class: Its class.

    Raises:
        TypeError: If it is no class of systems, or an abstract one.
        UserError: If the name cannot be spelt or is taken.

    Example:
        >>> register_model("MF-BPR", MFBPR)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: the name 'MF-BPR' is taken - choose another
    """
    _check_class("system", model_class, Recommender, ["encode", "loss"])
    _check_new_name(name, [*MODELS, *VARIANTS, *FLOORS], "-_")
    MODELS[name] = model_class


def register_plugin(name: str, plugin_class: type[Plugin]) -> None:
    """Add a plug-in of your own to the table.

    Args:
        name: Its name, as specs can spell it: a letter, then letters, digits and ``_``.
        plugin_class: Its class.

    Raises:
        TypeError: If it is no class of plug-ins, or an abstract one.
        UserError: If the name cannot be spelt or is taken.

    Example:
        >>> register_plugin("clear", CLEARPlugin)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: the name 'CLEAR' is taken - choose another
    """
    _check_class("plug-in", plugin_class, Plugin, [])
    _check_new_name(name, PLUGINS, "_")
    PLUGINS[name] = plugin_class


def available_models() -> list[str]:
    """Names of all systems that are trained.

    Example:
        >>> "LightGCN" in available_models(), "ItemKNN" in available_models()
        (True, False)
    """
    _find_own_systems()
    return list(MODELS)


def available_floors() -> list[str]:
    """Names of the systems without training, which others are to be better than.

    Example:
        >>> available_floors()
        ['ItemKNN', 'ContentKNN']
    """
    return list(FLOORS)


def kind_of(name: str) -> str:
    """``"floor"`` for a system without training, ``"trained"`` for any other.

    Raises:
        UserError: If there is no such model.

    Example:
        >>> kind_of("content_knn"), kind_of("VBPR")
        ('floor', 'trained')
    """
    return "trained" if resolve_model(name)[1].trains else "floor"


def available_plugins() -> list[str]:
    """Names of all plug-ins.

    Example:
        >>> available_plugins()
        ['CLEAR', 'SEA']
    """
    _find_own_systems()
    return list(PLUGINS)


def resolve_model(name: str) -> tuple[str, type[Recommender], dict[str, Any]]:
    """Canonical name, class and preset options of a model name.

    Raises:
        UserError: If there is no such model, with the nearest name and the full list.

    Example:
        >>> resolve_model("light_gcn")[0]
        'LightGCN'
    """
    _find_own_systems()
    known = MODELS | FLOORS
    canonical = _look_up(name, [*MODELS, *VARIANTS, *FLOORS], "model")
    base, preset = VARIANTS.get(canonical, (canonical, {}))
    return canonical, known[base], dict(preset)


def resolve_plugin(name: str) -> tuple[str, type[Plugin]]:
    """Canonical name and class of a plug-in name.

    Raises:
        UserError: If there is no such plug-in.

    Example:
        >>> resolve_plugin("clear")[0]
        'CLEAR'
    """
    _find_own_systems()
    canonical = _look_up(name, list(PLUGINS), "plug-in")
    return canonical, PLUGINS[canonical]


def model_options(name: str, plugin: str | None = None) -> dict[str, Option]:
    """The declared options of a model (and of a plug-in), by name.

    An option of a variant has the variant's value as its default.

    Example:
        >>> options = model_options("MF-BPR")
        >>> sorted(options), options["reg_weight"].default, options["reg_weight"].domain
        (['embedding_dim', 'fidelity', 'reg_weight'], 0.0001, 'a number at least 0')
    """
    _, model_class, preset = resolve_model(name)
    options = {**declared_options(model_class), **model_class.feature_options()}
    for option, value in preset.items():
        options[option] = replace(options[option], default=value)
    if plugin is None:
        return options
    return declared_options(resolve_plugin(plugin)[1]) | options


def reads_features(name: str) -> bool:
    """True if a system may read item features.

    Args:
        name: One of :func:`available_models` or :func:`available_floors`.

    Raises:
        UserError: If there is no such model.

    Example:
        >>> reads_features("LightGCN"), reads_features("VBPR")
        (False, True)
    """
    model_class = resolve_model(name)[1]
    return model_class.multimodal or vars(model_class).get("reads_features", True)


def build_model(
    name: str,
    data: HeteroData,
    *,
    plugin: str | None = None,
    fidelity: str = "paper",
    **options: Any,
) -> Recommender:
    """Build a system for the users, items and features of ``data``.

    Args:
        name: One of :func:`available_models` or :func:`available_floors`; case,
            ``-`` and ``_`` do not matter.
        data: A data set of :mod:`mmgraph.data` or of the same schema.
        plugin: ``"clear"`` or ``"sea"``, on models with modality encoders.
        fidelity: ``"paper"``, or ``"released"`` for what the public code does where
            that changes results.
        options: Options of the model and of the plug-in.

    Raises:
        UserError: If a name, an option or the fidelity is unknown, an option may not
            have its value, or the model cannot carry the plug-in or these data.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> train, valid, test = load_dataset("synthetic")
        >>> type(build_model("mf-bpr", train)).__name__
        'MFBPR'
    """
    canonical, model_class, preset = resolve_model(name)
    if fidelity not in model_class.fidelities:
        raise UserError(
            f"{canonical} has no fidelity {fidelity!r}",
            f"choose from {', '.join(model_class.fidelities)}",
        )
    own = {**declared_options(model_class), **model_class.feature_options()}
    plugin_class = None if plugin is None else resolve_plugin(plugin)[1]
    of_plugin = {} if plugin_class is None else declared_options(plugin_class)
    for option, value in options.items():
        if option not in own and option not in of_plugin:
            owners: list[type] = [model_class]
            owners += [] if plugin_class is None else [plugin_class]
            owners += [FeatureOptions] if model_class.feature_options() else []
            raise unknown_option(option, *owners)
        if option in preset and value != preset[option]:
            raise UserError(
                f"{canonical} is {option}={preset[option]!r} by name (got {value!r})",
                "leave the option out or use the plain name",
            )
    if plugin_class is not None and not model_class.multimodal:
        hosts = [known for known, c in MODELS.items() if c.multimodal]
        raise UserError(
            f"{canonical} has no modality encoders for the plug-in",
            f"choose from {', '.join(hosts)}",
        )
    of_model = preset | {k: v for k, v in options.items() if k in own}
    if "fidelity" in own:
        of_model["fidelity"] = fidelity
    model = model_class.from_data(data, **of_model)
    if plugin_class is not None:
        model.attach(
            plugin_class, **{k: v for k, v in options.items() if k in of_plugin}
        )
    return model


def _find_own_systems() -> None:
    """Register what ``--import`` and installed packages bring."""
    own_systems.import_named_modules()
    own_systems.read_entry_points(own_systems.SYSTEMS, register_model)
    own_systems.read_entry_points(own_systems.PLUGINS, register_plugin)


def _check_class(what: str, given: Any, base: type, methods: list[str]) -> None:
    """Refuse what is not a class to build objects of.

    Args:
        what: What it is to be, for the message.
        given: What was given.
        base: The class that it has to inherit from.
        methods: Methods of that class which have to be overridden.

    Raises:
        TypeError: If it is something else, or abstract.
    """
    if not (isinstance(given, type) and issubclass(given, base)):
        raise TypeError(
            f"a {what} must be a subclass of {base.__name__} (got {shown(given)})"
        )
    missing = [name for name in methods if getattr(given, name) is getattr(base, name)]
    if missing or given is base or inspect.isabstract(given):
        raise TypeError(
            f"{given.__name__} is abstract: write {', '.join(missing) or 'a subclass'}"
        )


def _check_new_name(name: str, known: Iterable[str], marks: str) -> None:
    """Refuse a name that a spec cannot spell, or that is taken.

    Args:
        name: The name.
        known: Those that are taken.
        marks: What may follow the first letter beside letters and digits.

    Raises:
        UserError: If it is such a name; it is the user's choice, not an error in code.
    """
    spelling = rf"[A-Za-z][A-Za-z0-9{marks}]*"
    if not isinstance(name, str) or not re.fullmatch(spelling, name):
        raise UserError(
            f"no spec NAME[+PLUGIN][@FIDELITY] can spell the name {shown(name)}",
            f"use a letter, then letters, digits and {' '.join(marks)}",
        )
    taken = {name_key(each): each for each in known}
    if name_key(name) in taken:
        raise UserError(
            f"the name {taken[name_key(name)]!r} is taken", "choose another"
        )


def _look_up(name: str, names: list[str], what: str) -> str:
    """The listed spelling of a name; case, ``-`` and ``_`` do not matter."""
    by_key = {name_key(known): known for known in names}
    if name_key(name) not in by_key:
        raise unknown_name(what, name, names)
    return by_key[name_key(name)]
