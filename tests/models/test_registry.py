from __future__ import annotations

import abc
import inspect

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import (
    VBPR,
    CLEARPlugin,
    Plugin,
    Recommender,
    available_models,
    available_plugins,
    build_model,
    model_options,
    register_model,
    register_plugin,
    resolve_model,
    resolve_plugin,
)
from mmgraph.models.parts.graph_learner import GraphLearner
from mmgraph.models.registry import MODELS, PLUGINS
from mmgraph.schema import INTERACTS

WIDTHS = {"visual": 6, "textual": 4}


def test_systems_and_plugins_by_name():
    names = {"MF-BPR", "LightGCN", "VBPR", "FREEDOM", "CLEAR", "SEA"}
    assert names <= set(available_models())
    assert available_plugins() == ["CLEAR", "SEA"]


def test_a_system_of_ones_own_joins_the_table(catalogue, monkeypatch):
    class Mine(MODELS["MF-BPR"]):
        """A subclass with the options of its parent."""

    monkeypatch.setattr("mmgraph.models.registry.MODELS", dict(MODELS))
    register_model("My-MF", Mine)
    assert available_models()[-1] == "My-MF"
    assert type(build_model("my_mf", catalogue(), embedding_dim=3)) is Mine
    with pytest.raises(UserError, match="the name 'My-MF' is taken - choose another"):
        register_model("MYMF", Mine)
    with pytest.raises(UserError, match="the name 'SEAa' is taken"):
        register_model("sea-a", Mine)


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("mf-bpr", "MF-BPR"),
        ("MFBPR", "MF-BPR"),
        ("mf_bpr", "MF-BPR"),
        ("Light-GCN", "LightGCN"),
        ("lightgcn", "LightGCN"),
        ("sea_A", "SEAa"),
        ("SEAd", "SEAd"),
    ],
)
def test_case_dash_and_underscore_do_not_matter(spelling, canonical):
    assert resolve_model(spelling)[0] == canonical


@pytest.mark.parametrize("letter", "abcd")
def test_seas_variants_are_names_of_their_own(catalogue, letter):
    canonical, model_class, preset = resolve_model(f"SEA{letter}")
    assert (canonical, model_class) == (f"SEA{letter}", MODELS["SEA"])
    assert preset == {"variant": letter}
    assert model_options(canonical)["variant"].default == letter
    assert build_model(canonical, catalogue(WIDTHS)).variant == letter


def test_a_preset_is_not_shared_between_callers():
    resolve_model("SEAb")[2]["variant"] = "z"
    assert resolve_model("SEAb")[2] == {"variant": "b"}


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [("LihgtGCN", "LightGCN"), ("freedon", "FREEDOM"), ("clar", "CLEAR")],
)
def test_an_unknown_model_brings_the_nearest_and_the_list(typo, nearest):
    expected = f"unknown model '{typo}' - did you mean '{nearest}'. choose from MF-BPR,"
    with pytest.raises(UserError, match=expected) as caught:
        resolve_model(typo)
    assert all(name in str(caught.value) for name in available_models())


def test_a_name_like_no_other_brings_the_list_alone():
    with pytest.raises(UserError, match="unknown model '!!!' - choose from MF-BPR"):
        resolve_model("!!!")


def test_an_unknown_plugin_brings_the_nearest():
    with pytest.raises(
        UserError, match="unknown plug-in 'cler' - did you mean 'CLEAR'"
    ):
        resolve_plugin("cler")


@pytest.mark.parametrize("name", available_models())
def test_options_are_the_keywords_of_the_constructor(name):
    expected = {}
    for owner in (MODELS[name], *MODELS[name].__bases__):  # MICRO passes options on
        signature = inspect.signature(owner.__init__).parameters.values()
        expected |= {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}
        if not any(p.kind is p.VAR_KEYWORD for p in signature):
            break
    if MODELS[name].multimodal:  # those of from_data, which every such system has
        expected |= {"train_features": False, "feature_scale": "raw"}
    assert {key: o.default for key, o in model_options(name).items()} == expected


def test_a_plugins_options_stand_beside_the_models():
    both = {key: o.default for key, o in model_options("VBPR", "clear").items()}
    own = {key: o.default for key, o in model_options("VBPR").items()}
    assert both == own | {
        "rank": 8,
        "strength": 0.9,
        "refresh_every": 1,
        "energy": None,
        "penalty": None,
        "effective_rank": False,
        "directions": "covariance",
        "sides": "both",
        "center_output": False,
        "stop_gradient": False,
        "where": "encoder",
    }


def test_no_plugin_shadows_an_option_of_a_host():
    for name, model_class in MODELS.items():
        for plugin in available_plugins():
            if model_class.multimodal and plugin != name:
                own = set(model_options(name))
                both = set(model_options(name, plugin))
                extra = inspect.signature(resolve_plugin(plugin)[1].__init__).parameters
                theirs = {p.name for p in extra.values() if p.kind is p.KEYWORD_ONLY}
                assert own | theirs == both
                assert not own & theirs, (name, plugin)


def test_options_reach_model_and_plugin(catalogue):
    model = build_model(
        "FREEDOM", catalogue(WIDTHS), plugin="Clear", num_layers=1, rank=3, strength=0.5
    )
    assert model.propagate.num_layers == 1
    assert (model.plugin.rank, model.plugin.strength) == (3, 0.5)


def test_an_unknown_option_brings_the_nearest_and_the_list(catalogue):
    expected = "unknown option 'stregth' of VBPR - did you mean 'strength'. choose from"
    with pytest.raises(UserError, match=expected):
        build_model("VBPR", catalogue(WIDTHS), plugin="clear", stregth=0.5)
    with pytest.raises(
        UserError, match="choose from embedding_dim, feature_scale, fid"
    ):
        build_model("VBPR", catalogue(WIDTHS), strength=0.5)


def test_an_option_out_of_range_is_the_users_error(catalogue):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match=r"SEA: 'variant' must be .* - correct the"):
        build_model("SEA", data, variant="e")
    with pytest.raises(UserError, match=r"CLEARPlugin: 'where' must be .* - correct"):
        build_model("VBPR", data, plugin="clear", where="nowhere")
    with pytest.raises(UserError, match=r"CLEARPlugin: 'strength' must .* - correct"):
        build_model("VBPR", data, plugin="clear", strength=2.0)


def test_a_plugins_bad_option_is_refused_wherever_it_acts(catalogue):
    """``where="graph"`` reads strength and rank only when the graph is built."""
    with pytest.raises(UserError, match=r"'strength' must be in \[0, 1\] \(got 2"):
        build_model(
            "FREEDOM",
            catalogue(WIDTHS),
            plugin="clear",
            where="graph",
            rank=2,
            strength=2.0,
        )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SEAa", {"variant": "d"}, "SEAa is variant='a' by name"),
        ("LightGCN", {"embedding_dim": 0}, "'embedding_dim' must be at least 1"),
        ("FREEDOM", {"k": 0}, "'k' must be at least 1"),
        ("FREEDOM", {"visual_weight": 3}, "'visual_weight' must be in"),
        ("MF-BPR", {"reg_weight": -1.0}, "'reg_weight' must be at least 0"),
        ("SEA", {"align_weight": -1.0}, "'align_weight' must be at least 0"),
        ("SEA", {"club_inner_steps": -1}, "'club_inner_steps' must be at least 0"),
        ("SEA", {"temperature": 0.0}, "temperature"),
        ("BM3", {"modality_weight": -2.0}, "'modality_weight' must be at least 0"),
        ("MGCN", {"num_item_layers": -1}, "'num_item_layers' must be at least 0"),
        ("PAMD", {"pretrain_lr": -1.0}, "'pretrain_lr' must be above 0"),
    ],
)
def test_options_out_of_range_are_refused(catalogue, name, options, message):
    with pytest.raises(UserError, match=message):
        build_model(name, catalogue(WIDTHS), **options)


@pytest.mark.parametrize("name", [n for n, c in MODELS.items() if c.multimodal])
@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_modalities_may_have_any_name(catalogue, batch, first_epoch, name, fidelity):
    """Also names with dots, which PyTorch has no use for, and those it uses itself."""
    data, losses = catalogue({"clip.v2": 4, "type": 3}), []
    if fidelity not in MODELS[name].fidelities:
        pytest.skip("one fidelity")
    plain = catalogue({"a": 4, "b": 3})
    plain["item"].x_a, plain["item"].x_b = (
        data["item"]["x_clip.v2"],
        data["item"].x_type,
    )
    plain[INTERACTS].edge_index = data[INTERACTS].edge_index
    for d in (data, plain):
        torch.manual_seed(0)
        plugin = None if name == "CLEAR" else "clear"
        options = {"rank": 2} | ({"map_above": 0} if name == "MMGCN" else {})
        model = build_model(name, d, plugin=plugin, fidelity=fidelity, **options)
        torch.manual_seed(0)
        losses.append(model.training_loss(first_epoch(model, d), batch))
        model.load_state_dict(model.state_dict())
    assert [float(v) for v in losses[0].values()] == [
        float(v) for v in losses[1].values()
    ]


@pytest.mark.parametrize(("name", "known"), [("CLEAR", "paper"), ("SEA", "paper, rel")])
def test_an_unknown_fidelity_lists_those_of_the_model(catalogue, name, known):
    with pytest.raises(UserError, match=f"no fidelity 'public' - choose from {known}"):
        build_model(name, catalogue(WIDTHS), fidelity="public")


def test_fidelity_reaches_the_model(catalogue):
    data = catalogue(WIDTHS)
    assert build_model("SEA", data, fidelity="released").fidelity == "released"
    assert build_model("SEA", data).fidelity == "paper"


@pytest.mark.parametrize("name", ["MF-BPR", "LightGCN"])
@pytest.mark.parametrize("plugin", ["clear", "sea"])
def test_models_without_encoders_carry_no_plugin(catalogue, name, plugin):
    expected = f"{name} has no modality encoders .* choose from VBPR, MMGCN"
    with pytest.raises(UserError, match=expected):
        build_model(name, catalogue(WIDTHS), plugin=plugin)


@pytest.mark.parametrize(
    ("name", "plugin"), [("CLEAR", "clear"), ("SEA", "sea"), ("SEAb", "sea")]
)
def test_a_system_does_not_carry_itself(catalogue, name, plugin):
    with pytest.raises(UserError, match=f"{plugin.upper()} has this plug-in built in"):
        build_model(name, catalogue(WIDTHS), plugin=plugin)


def test_a_model_of_a_wrong_option_is_not_built(catalogue):
    with pytest.raises(UserError, match=r"MFBPR: 'reg_weight' must be a number at"):
        build_model("mf_bpr", catalogue(), reg_weight="x")
    with pytest.raises(UserError, match=r"CLEARPlugin: 'rank' must be an integer"):
        build_model("VBPR", catalogue({"a": 3, "b": 3}), plugin="clear", rank=1.5)


# Systems and plug-ins of one's own --------------------------------------------------


class Own(VBPR):
    """A system of one's own."""


class OwnPlugin(Plugin):
    """A plug-in of one's own."""


@pytest.fixture
def tables(monkeypatch):
    """The tables as they are, put back afterwards."""
    monkeypatch.setattr("mmgraph.models.registry.MODELS", dict(MODELS))
    monkeypatch.setattr("mmgraph.models.registry.PLUGINS", dict(PLUGINS))


@pytest.mark.usefixtures("tables")
def test_an_own_system_and_an_own_plugin_are_built_by_name(catalogue):
    register_model("Own-1_b", Own)
    register_plugin("Mine_2", OwnPlugin)
    model = build_model("own1b", catalogue(WIDTHS), plugin="mine2")
    assert type(model) is Own
    assert type(model.plugin) is OwnPlugin


class Half(Recommender):
    """Has no loss."""

    def encode(self, data):
        return data


class ABC(VBPR, abc.ABC):
    """Abstract in Python's sense."""

    @abc.abstractmethod
    def nothing(self): ...


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (len, "a system must be a subclass of Recommender"),
        ("VBPR", "a system must be a subclass of Recommender"),
        (None, "a system must be a subclass of Recommender"),
        (dict, "a system must be a subclass of Recommender"),
        (torch.nn.Linear, "a system must be a subclass of Recommender"),
        (CLEARPlugin, "a system must be a subclass of Recommender"),
        (Recommender, "Recommender is abstract: write encode, loss"),
        (GraphLearner, "GraphLearner is abstract: write encode, loss"),
        (Half, "Half is abstract: write loss"),
        (ABC, "ABC is abstract"),
    ],
)
def test_what_is_no_system_is_not_registered(wrong, message):
    with pytest.raises(TypeError, match=message):
        register_model("Own", wrong)
    assert "Own" not in available_models()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("wrong", [len, "CLEAR", None, VBPR, torch.nn.Linear, Plugin])
def test_what_is_no_plugin_is_not_registered(wrong):
    with pytest.raises(TypeError, match=r"a plug-in must be a sub|Plugin is abst"):
        register_plugin("Own", wrong)
    assert "Own" not in available_plugins()


BAD_NAMES = [
    "My Model",
    "A+B",
    "x@y",
    "a:b",
    "",
    " ",
    "a,b",
    "a=b",
    "3D",
    "-a",
    "_",
    "a.",
]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("name", [*BAD_NAMES, "a/b", "../x", "a\n", "naïve", 3, None])
def test_names_that_a_spec_cannot_spell_are_refused(name):
    for register, given in ((register_model, Own), (register_plugin, OwnPlugin)):
        with pytest.raises(UserError, match="can spell the name") as caught:
            register(name, given)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="can spell the name 'a-b'"):
        register_plugin("a-b", OwnPlugin)


@pytest.mark.usefixtures("tables")
def test_a_name_is_given_once():
    register_model("Own", Own)
    register_plugin("Own", OwnPlugin)
    for name in ("Own", "own", "O_wn", "mfbpr", "SEAa"):
        with pytest.raises(UserError, match="is taken - choose another"):
            register_model(name, type("Other", (Own,), {}))
    for name in ("Own", "o_wn", "clear"):
        with pytest.raises(UserError, match="is taken - choose another"):
            register_plugin(name, type("Other", (OwnPlugin,), {}))
    assert resolve_model("own")[1] is Own
    assert resolve_plugin("own")[1] is OwnPlugin
