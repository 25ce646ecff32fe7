"""Systems by name."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import Any

from torch import nn
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.models.base import Recommender
from mmgraph.models.bm3 import BM3
from mmgraph.models.clear import CLEAR
from mmgraph.models.dual_gnn import DualGNN
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
from mmgraph.models.plugins.base import Plugin
from mmgraph.models.plugins.clear import CLEARPlugin
from mmgraph.models.plugins.sea import SEAPlugin
from mmgraph.models.sea import SEA
from mmgraph.models.slmrec import SLMRec
from mmgraph.models.vbpr import VBPR
from mmgraph.options import check_types, option_types
from mmgraph.schema import modalities

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
PLUGINS: dict[str, type[Plugin]] = {"CLEAR": CLEARPlugin, "SEA": SEAPlugin}
#: Names of a model with options set, as the papers' tables use them.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    f"SEA{letter}": ("SEA", {"variant": letter}) for letter in "abcd"
}


#: Least values of options that several systems share.
LEAST = {
    "embedding_dim": 1,
    "hidden_dim": 1,
    "k": 1,
    "club_inner_steps": 0,
    "num_item_layers": 0,
    "reg_weight": 0,
    "modality_weight": 0,
    "contrast_weight": 0,
    "align_weight": 0,
    "distance_weight": 0,
    "moment_weight": 0,
    "mask_weight": 0,
    "perturb_weight": 0,
    "perturb_scale": 0,
    "adversarial_weight": 0,
    "feature_reg_weight": 0,
    "critic_dim": 1,
    "num_neighbors": 0,
    "pretrain_epochs": 0,
    "pretrain_batch_size": 1,
}


def _key(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _look_up(name: str, names: list[str], what: str) -> str:
    """The listed spelling of a name; case, ``-`` and ``_`` do not matter."""
    by_key = {_key(known): known for known in names}
    if _key(name) in by_key:
        return by_key[_key(name)]
    near = get_close_matches(_key(name), by_key, n=1, cutoff=0.4)
    hint = f"did you mean {by_key[near[0]]!r}? " if near else ""
    raise UserError(f"unknown {what} {name!r}", f"{hint}choose from {', '.join(names)}")


def register_model(name: str, model_class: type[Recommender]) -> None:
    """Add a system of your own to the table.

    Args:
        name: Its name; it must differ from the others in more than case, ``-``, ``_``.
        model_class: Its class.

    Raises:
        UserError: If the name is taken.

    Example:
        >>> register_model("MF-BPR", MFBPR)
        Traceback (most recent call last):
        ...
        mmgraph.errors.UserError: the name 'MF-BPR' is taken - choose another
    """
    taken = {_key(known): known for known in [*MODELS, *VARIANTS]}
    if _key(name) in taken:
        raise UserError(f"the name {taken[_key(name)]!r} is taken", "choose another")
    MODELS[name] = model_class


def available_models() -> list[str]:
    """Names of all systems.

    Example:
        >>> "LightGCN" in available_models()
        True
    """
    return list(MODELS)


def available_plugins() -> list[str]:
    """Names of all plug-ins.

    Example:
        >>> available_plugins()
        ['CLEAR', 'SEA']
    """
    return list(PLUGINS)


def resolve_model(name: str) -> tuple[str, type[Recommender], dict[str, Any]]:
    """Canonical name, class and preset options of a model name.

    Raises:
        UserError: If there is no such model, with the nearest name and the full list.

    Example:
        >>> resolve_model("light_gcn")[0]
        'LightGCN'
    """
    canonical = _look_up(name, [*MODELS, *VARIANTS], "model")
    base, preset = VARIANTS.get(canonical, (canonical, {}))
    return canonical, MODELS[base], dict(preset)


def resolve_plugin(name: str) -> tuple[str, type[Plugin]]:
    """Canonical name and class of a plug-in name.

    Raises:
        UserError: If there is no such plug-in.

    Example:
        >>> resolve_plugin("clear")[0]
        'CLEAR'
    """
    canonical = _look_up(name, list(PLUGINS), "plug-in")
    return canonical, PLUGINS[canonical]


def model_options(name: str, plugin: str | None = None) -> dict[str, Any]:
    """Options of a model (and of a plug-in) with their defaults.

    Example:
        >>> sorted(model_options("MF-BPR"))
        ['embedding_dim', 'fidelity', 'reg_weight']
    """
    _, model_class, preset = resolve_model(name)
    options = model_class.option_defaults() | preset
    if plugin is not None:
        options = _plugin_options(resolve_plugin(plugin)[1]) | options
    return options


def model_option_types(name: str, plugin: str | None = None) -> dict[str, Any]:
    """Types of the options of a model (and of a plug-in), as far as they are named.

    Example:
        >>> model_option_types("MF-BPR")["reg_weight"]
        <class 'float'>
    """
    types = option_types(resolve_model(name)[1].__init__)
    if plugin is not None:
        types = option_types(resolve_plugin(plugin)[1].__init__) | types
    return types


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
        name: One of :func:`available_models`; case, ``-`` and ``_`` do not matter.
        data: A data set of :mod:`mmgraph.data` or of the same schema.
        plugin: ``"clear"`` or ``"sea"``, on models with modality encoders.
        fidelity: ``"paper"``, or ``"released"`` for what the public code does where
            that changes results.
        options: Options of the model and of the plug-in.

    Raises:
        UserError: If a name, an option or the fidelity is unknown, or the model cannot
            carry the plug-in or these data.

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
    own = model_class.option_defaults()
    plugin_class = None if plugin is None else resolve_plugin(plugin)[1]
    extra = {} if plugin_class is None else _plugin_options(plugin_class)
    known = {key: value for key, value in (own | extra).items() if key != "fidelity"}
    check_types(options, model_option_types(name, plugin), canonical)
    for option, value in options.items():
        if option in preset and value != preset[option]:
            raise UserError(
                f"{canonical} is {option}={preset[option]!r} by name (got {value!r})",
                "leave the option out or use the plain name",
            )
        lowest = LEAST.get(option)
        if lowest is not None and value is not None and value < lowest:
            raise UserError(
                f"{option} must be at least {lowest} (got {value})", "raise it"
            )
        if option not in known:
            near = get_close_matches(option, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UserError(
                f"unknown option {option!r} of {canonical}",
                f"{hint}options are {', '.join(sorted(known)) or 'none'}",
            )
    if model_class.multimodal:
        _check_modality_names(data)
    model_side = {k: v for k, v in options.items() if k in own}
    if "fidelity" in own:
        model_side["fidelity"] = fidelity
    try:
        model = model_class.from_data(data, **(preset | model_side))
        if plugin_class is not None:
            plugin_side = {k: v for k, v in options.items() if k in extra}
            _attach(model, plugin_class, canonical, plugin_side)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"{canonical}: {error}", "correct the option") from error
    return model


def _check_modality_names(data: HeteroData) -> None:
    """Modalities name modules and parameters, and PyTorch keeps some names."""
    taken = (nn.ModuleDict(), nn.ParameterDict())
    for m in modalities(data):
        if "." in m or any(hasattr(container, m) for container in taken):
            raise UserError(
                f"a modality of a model cannot be called {m!r}: PyTorch uses the name",
                "rename its file or attribute",
            )


def _plugin_options(plugin_class: type[Plugin]) -> dict[str, Any]:
    parameters = inspect.signature(plugin_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _attach(
    model: Recommender,
    plugin_class: type[Plugin],
    name: str,
    options: dict[str, Any],
) -> None:
    if model.built_in is not None and PLUGINS[model.built_in] is plugin_class:
        raise UserError(f"{name} has this plug-in built in", "leave it out")
    in_graph = options.get("where") == "graph"
    if in_graph and model.item_graph_transform() is None:
        raise UserError(
            f"{name} has no item graph for the plug-in", "set where=encoder"
        )
    if model.has_encoders() and not in_graph and not model.encoders_reach_scores():
        raise UserError(
            f"with these options the modality encoders of {name} do not reach its "
            "scores, so the plug-in could change nothing",
            "give the weight of their loss terms a value above 0",
        )
    if plugin_class.trains_encoders and not model.encoders_learn():
        raise UserError(
            f"{name} takes these features as they are, so the plug-in could train "
            "nothing",
            "set map_above=0",
        )
    if not model.has_encoders():
        multimodal = [n for n, c in MODELS.items() if c.multimodal]
        raise UserError(
            f"{name} has no modality encoders for the plug-in",
            f"choose from {', '.join(multimodal)}",
        )
    widths = model.dims if in_graph else model.modality_widths()
    model.plugin = plugin_class(widths, **options)
