"""Every option of every system, plug-in, layer, loss, transform: what is refused."""

from __future__ import annotations

import math
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from mmgraph import nn, transforms
from mmgraph.errors import UserError
from mmgraph.models import (
    available_models,
    available_plugins,
    build_model,
    resolve_model,
    resolve_plugin,
)
from mmgraph.options import (
    CheckedOptions,
    Dimension,
    LayerCount,
    NodeCount,
    Range,
    declared_options,
)
from mmgraph.train import Trainer

DIMS = {"visual": 6, "textual": 4}
WRONG_NUMBERS = [math.nan, math.inf, -math.inf, True, "1", [1], {}, object(), 10**400]
#: Whatever declares options, by name; the systems through their registry.
CLASSES = {
    name: thing
    for package in (nn, transforms)
    for name, thing in vars(package).items()
    if isinstance(thing, type) and issubclass(thing, CheckedOptions)
}
#: Numbers that may be anything finite: a slope, a seed, and those of PyG's base.
UNBOUNDED = {"slope", "seed", "node_dim", "decomposed_layers"}


def plain(annotation: Any) -> list[Any]:
    """The members of an annotation, without None."""
    if get_origin(annotation) in (Union, UnionType):
        return [part for part in get_args(annotation) if part is not NoneType]
    return [annotation]


def ranges(annotation: Any) -> list[Range]:
    return [
        each
        for part in plain(annotation)
        if get_origin(part) is Annotated
        for each in get_args(part)[1:]
        if isinstance(each, Range)
    ]


def is_number(annotation: Any) -> bool:
    kinds = {
        get_args(part)[0] if get_origin(part) is Annotated else part
        for part in plain(annotation)
    }
    return bool(kinds & {int, float}) and not kinds & {str}


def just_outside(annotation: Any) -> list[Any]:
    """Values at or beyond the ends of the ranges."""
    out: list[Any] = []
    for each in ranges(annotation):
        if each.low is not None:
            step = 1 if isinstance(each.low, int) else 1e-9
            out += [each.low - step] + ([each.low] if each.ends[0] == "(" else [])
        if each.high is not None:
            out += [each.high + 1] + ([each.high] if each.ends[1] == ")" else [])
    return out


def test_every_number_has_a_range():
    for name in available_models():
        check_ranges(declared_options(resolve_model(name)[1]))
    for name in available_plugins():
        check_ranges(declared_options(resolve_plugin(name)[1]))
    check_ranges(declared_options(Trainer))
    for thing in CLASSES.values():
        check_ranges(declared_options(thing))


def check_ranges(options):
    for option in options.values():
        if is_number(option.annotation) and option.name not in UNBOUNDED:
            assert ranges(option.annotation), option.name


@pytest.mark.parametrize("name", available_models())
def test_values_outside_of_every_numeric_option_of_a_system(catalogue, name):
    data, model_class = catalogue(DIMS), resolve_model(name)[1]
    sizes = (9, 14, DIMS) if model_class.multimodal else (9, 14)
    for option in declared_options(model_class).values():
        if not is_number(option.annotation):
            continue
        for value in [*WRONG_NUMBERS, *just_outside(option.annotation)]:
            for build in (
                lambda **o: model_class(*sizes, **o),
                lambda **o: model_class.from_data(data, **o),
                lambda **o: build_model(name, data, **o),
            ):
                expected = f"^{model_class.__name__}: '{option.name}' must be [^\n]*$"
                with pytest.raises(UserError, match=expected):
                    build(**{option.name: value})


@pytest.mark.parametrize("name", available_plugins())
def test_values_outside_of_every_numeric_option_of_a_plugin(catalogue, name):
    data, plugin_class = catalogue(DIMS), resolve_plugin(name)[1]
    model = build_model("VBPR", data)
    for option in declared_options(plugin_class).values():
        if not is_number(option.annotation):
            continue
        for value in [*WRONG_NUMBERS, *just_outside(option.annotation)]:
            for build in (
                lambda **o: plugin_class(DIMS, **o),
                lambda **o: model.attach(plugin_class, **o),
                lambda **o: build_model("VBPR", data, plugin=name, **o),
            ):
                expected = f"^{plugin_class.__name__}: '{option.name}' must be [^\n]*$"
                with pytest.raises(UserError, match=expected):
                    build(**{option.name: value})
    assert model.plugin is None


@pytest.mark.parametrize("name", ["Trainer", *CLASSES])
def test_values_outside_of_every_numeric_option_of_a_part(name):
    thing = Trainer if name == "Trainer" else CLASSES[name]
    for option in declared_options(thing).values():
        if not is_number(option.annotation):
            continue
        for value in [*WRONG_NUMBERS, *just_outside(option.annotation)]:
            with pytest.raises(UserError, match=rf"^{name}: '{option.name}' must be"):
                thing(**{option.name: value})


@pytest.mark.parametrize("name", available_models())
@pytest.mark.parametrize("size", [0, -1, True, 3.0, [3], None, math.nan, 2**31, "3"])
def test_numbers_of_users_and_items(name, size):
    model_class = resolve_model(name)[1]
    dims = [DIMS] if model_class.multimodal else []
    for option, sizes in (("num_users", (size, 14)), ("num_items", (9, size))):
        match = rf"^{model_class.__name__}: '{option}' must be"
        with pytest.raises(UserError, match=match):
            model_class(*sizes, *dims)
        named = dict(zip(("num_users", "num_items", "dims"), (*sizes, *dims), strict=0))
        with pytest.raises(UserError, match=match):
            model_class(**named)


@pytest.mark.parametrize(
    "name", [n for n in available_models() if resolve_model(n)[1].multimodal]
)
def test_dimensions_of_features(name):
    model_class = resolve_model(name)[1]
    owner = model_class.__name__
    for size in (0, -4, True, 2.0, None, [4], "4", 10**9):
        with pytest.raises(UserError, match=rf"^{owner}: 'dims' must be"):
            model_class(9, 14, {"visual": 6, "textual": size})
    for dims in ([6, 4], "visual", 6, {3: 6}):
        with pytest.raises(UserError, match=rf"^{owner}: 'dims' must be a mapping"):
            model_class(9, 14, dims)
    with pytest.raises(UserError, match=rf"^{owner} needs item features and") as e:
        model_class(9, 14, {})
    assert "VBPR" not in str(e.value).removeprefix(owner)


@pytest.mark.parametrize("name", ["FREEDOM", "MENTOR", "CLEAR", "SEA"])
@pytest.mark.parametrize(
    "weights",
    [
        {"visual": -0.1, "textual": 1.1},
        {"visual": math.nan, "textual": 1.0},
        {"visual": math.inf, "textual": 1.0},
        {"visual": True, "textual": 1.0},
        {"visual": 0.0, "textual": 0},
        {"visual": 1.0},
        {"visual": 1.0, "textual": 1.0, "acoustic": 1.0},
        {},
        [0.1, 0.9],
        0.5,
    ],
)
def test_weights_of_modalities(catalogue, name, weights):
    data, messages = catalogue(DIMS), set()
    model_class = resolve_model(name)[1]
    for build in (
        lambda **o: model_class(9, 14, DIMS, **o),
        lambda **o: model_class.from_data(data, **o),
        lambda **o: build_model(name, data, **o),
    ):
        with pytest.raises(UserError, match=rf"^{name}: 'modality_weights' mu") as e:
            build(modality_weights=weights)
        messages.add(str(e.value))
    assert len(messages) == 1


def test_absurd_sizes_are_one_line_and_no_allocation(catalogue):
    data = catalogue(DIMS)
    for name in available_models():
        options = declared_options(resolve_model(name)[1])
        large = [
            o.name
            for o in options.values()
            if o.name.endswith(("_dim", "_layers"))
            or o.name == "num_hyperedges"
            or (name, o.name) == ("MMSSL", "num_neighbors")
        ]
        assert "embedding_dim" in large
        for option in large:
            with pytest.raises(UserError, match=rf"'{option}' must be at most \d+"):
                build_model(name, data, **{option: 10**9})


def test_a_single_modality_where_two_are_needed_brings_no_bad_advice():
    model_class = resolve_model("PAMD")[1]
    expected = r"^PAMD needs 2 modalities or more \(got visual\) - .*VBPR for example$"
    with pytest.raises(UserError, match=expected):
        model_class(9, 14, {"visual": 6})


def test_generous_sizes_stay_accepted():
    for domain, sizes in (
        (LayerCount, (0, 64, 1000)),
        (Dimension, (1, 4096, 2**16)),
        (NodeCount, (1, 10**9)),
    ):
        assert all(size in each for size in sizes for each in ranges(domain))


@pytest.mark.parametrize("name", available_models())
def test_an_unknown_option_has_one_wording_through_all_doors(catalogue, name):
    data, model_class = catalogue(DIMS), resolve_model(name)[1]
    sizes = (9, 14, DIMS) if model_class.multimodal else (9, 14)
    messages = []
    for build in (
        lambda **o: model_class(*sizes, **o),
        lambda **o: model_class.from_data(data, **o),
        lambda **o: build_model(name, data, **o),
    ):
        with pytest.raises(UserError) as e:
            build(embeding_dim=8)
        messages.append(str(e.value))
    message, *others = messages
    # The options about features are for the doors that have the features.
    for each in others:
        start, _, known = each.partition("choose from ")
        own = set(known.split(", ")) - {*model_class.feature_options()}
        assert f"{start}choose from {', '.join(sorted(own))}" == message
    assert others[0] == others[1]
    assert message.startswith(
        f"unknown option 'embeding_dim' of {model_class.__name__} - "
        "did you mean 'embedding_dim'? choose from "
    )


def test_an_unknown_option_of_a_plugin(catalogue):
    model = build_model("VBPR", catalogue(DIMS))
    for plugin, wrong, near in (("clear", "rnak", "rank"), ("sea", "algn", "align")):
        plugin_class = resolve_plugin(plugin)[1]
        expected = f"unknown option '{wrong}' of {plugin_class.__name__} - did you mean"
        for build in (
            lambda c=plugin_class, **o: c(DIMS, **o),
            lambda c=plugin_class, **o: model.attach(c, **o),
        ):
            with pytest.raises(UserError, match=rf"{expected} '{near}'\?"):
                build(**{wrong: 3})
    assert model.plugin is None


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_unknown_option_of_a_part(name):
    with pytest.raises(UserError, match=rf"^unknown option 'nonsense' of {name} - "):
        CLASSES[name](nonsense=3)
