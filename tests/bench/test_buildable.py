from __future__ import annotations

import re

import pytest
import torch

from mmgraph.bench.buildable import buildable, buildable_systems
from mmgraph.bench.config import run_config
from mmgraph.bench.recipe import Recipe, System
from mmgraph.bench.spec import parse_spec
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.models.mf_bpr import MFBPR
from mmgraph.models.registry import MODELS


@pytest.fixture(scope="module")
def train():
    return load_dataset("synthetic", modalities=[])[0]


def runs(*names, **settings):
    return [run_config(parse_spec(name), settings) for name in names]


def test_what_cannot_be_built_is_named_with_the_reason(train):
    accepted, reasons = buildable(runs("CLEAR", "MF-BPR", "LightGCN"), train)
    assert [run.label for run in accepted] == ["MF-BPR", "LightGCN"]
    assert list(reasons) == ["CLEAR"]
    with pytest.raises(UserError) as caught:
        buildable(runs("CLEAR"), train, required=True)
    assert caught.value.what == reasons["CLEAR"]


def test_an_option_of_the_trainer_out_of_range_is_an_error_at_once(train):
    with pytest.raises(UserError, match="Trainer: 'lr' must be above 0"):
        buildable(runs("MF-BPR", lr=-1.0), train)


@pytest.mark.parametrize("required", [True, False])
def test_an_option_out_of_range_is_never_taken_for_data_that_do_not_suit(
    train, required
):
    with pytest.raises(UserError, match="'embedding_dim' must be at least 1"):
        buildable(runs("MF-BPR", embedding_dim=-4), train, required=required)


def test_nothing_is_drawn(train):
    before = torch.get_rng_state()
    buildable(runs("MF-BPR", "LightGCN"), train)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_of_a_constructors_author_is_passed_on_as_it_is(train, monkeypatch):
    class Broken(MFBPR):
        def __init__(self, num_users, num_items, *, embedding_dim: int = 8) -> None:
            raise TypeError("int() argument must be a string")

    monkeypatch.setitem(MODELS, "Broken", Broken)
    with pytest.raises(TypeError, match="int\\(\\) argument must be a string"):
        buildable(runs("Broken"), train)


def test_a_constructor_that_reads_what_it_draws_is_built_for_real(train, monkeypatch):
    class Reading(MFBPR):
        def __init__(self, num_users, num_items, *, embedding_dim: int = 8) -> None:
            super().__init__(num_users, num_items, embedding_dim=embedding_dim)
            self.start = self.user.weight[0, 0].item()

    monkeypatch.setitem(MODELS, "Reading", Reading)
    assert buildable(runs("Reading"), train)[1] == {}


MISTAKES = [
    ("FREEDOM+SEA", {"reg_weight": 0}, "do not reach its scores"),
    (
        "FREEDOM",
        {"modality_weights": {"a": 0.1, "b": 0.9}},
        "must name .*'a': 0.1, 'b'",
    ),
    (
        "VBPR+CLEAR",
        {"rank": 999},
        r"CLEARPlugin: 'rank' must be in \[0, 64\] \(got 999\)",
    ),
    ("VBPR+CLEAR", {"sides": "acoustic"}, "'sides' must be .*got 'acoustic'"),
]


@pytest.mark.parametrize(("name", "options", "message"), MISTAKES)
@pytest.mark.parametrize("required", [True, False])
def test_options_that_do_not_go_together_are_never_taken_for_data_that_do_not_suit(
    name, options, message, required
):
    train = load_dataset("synthetic")[0]
    with pytest.raises(UserError, match=message):
        buildable(runs("MF-BPR", name, **options), train, required=required)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MF-BPR+CLEAR", "has no modality encoders for the plug-in"),
        ("CLEAR+CLEAR", "has this plug-in built in"),
        ("LayerGCN@released", "has no fidelity 'released'"),
        ("SEAb:variant=a", "SEAb is variant='b' by name"),
    ],
)
def test_what_no_data_could_make_right_is_refused(name, message):
    for names in ([], ["visual"], ["visual", "textual"]):
        train = load_dataset("synthetic", modalities=names)[0]
        with pytest.raises(UserError, match=message):
            buildable(runs("MF-BPR", name), train)


def test_options_that_are_not_the_users_may_not_suit_the_data():
    train = load_dataset("synthetic", modalities=["visual"])[0]
    heads = runs("VBPR+SEA:score_heads=true")
    with pytest.raises(UserError, match="'score_heads' needs"):
        buildable(heads, train)
    accepted, reasons = buildable(heads, train, fixed_specs=True)
    assert (accepted, list(reasons)) == ([], ["VBPR+SEA:score_heads=true"])


@pytest.mark.parametrize("names", [["PAMD"], ["PAMD", "PAMD+CLEAR:rank=2"]])
def test_a_system_that_needs_two_modalities_is_left_out_on_data_with_one(names, caplog):
    train = load_dataset("synthetic", modalities=["visual"])[0]
    accepted, reasons = buildable(runs("VBPR", *names), train)
    assert [run.label for run in accepted] == ["VBPR"]
    assert list(reasons) == names
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [line.partition(" is left out: ")[0] for line in said] == names
    assert all("PAMD needs 2 modalities or more" in line for line in said)


def test_a_mistake_in_a_grid_is_named_with_the_recipe(tmp_path):
    train = load_dataset("synthetic")[0]
    system = System({"embedding_dim": 8}, [{"lr": [0.1, 0.2]}, {"rank": [2, 9]}])
    path = tmp_path / "r.toml"
    recipe = Recipe([], {}, {"VBPR+CLEAR": system}, path)
    specs = [parse_spec("MF-BPR"), parse_spec("VBPR+CLEAR:strength=0")]
    message = rf"{path}: system '{re.escape(str(specs[1]))}': CLEARPlugin: 'rank' must"
    with pytest.raises(UserError, match=message):
        buildable_systems(specs, train, recipe=recipe)
    accepted, _ = buildable_systems(specs, train, recipe=recipe, settings={"rank": 2})
    assert accepted == specs  # what the user fixes is not searched


def test_a_mistake_in_the_grid_of_a_base_is_found_too():
    train = load_dataset("synthetic")[0]
    weights = [{"visual": 1.0, "textual": 0.0}, {"v": 1.0, "t": 0.0}]
    grid = System(grid=[{"modality_weights": weights}])
    recipe = Recipe([], {}, {"FREEDOM": grid})
    specs = [parse_spec("FREEDOM+CLEAR")]
    with pytest.raises(UserError, match="'modality_weights' must name"):
        buildable_systems(specs, train, recipe=recipe)
    fixed = {"modality_weights": weights[0]}
    assert buildable_systems(specs, train, recipe=recipe, settings=fixed)[0] == specs
