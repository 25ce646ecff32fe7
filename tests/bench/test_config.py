from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from mmgraph.bench.config import canonical, check_settings, run_config, trainer_options
from mmgraph.bench.spec import ModelSpec, parse_spec
from mmgraph.errors import UserError
from mmgraph.models import available_models, available_plugins, model_options


def test_options_of_the_spec_win_over_settings_and_those_over_defaults():
    run = run_config(
        parse_spec("light_gcn:num_layers=1"),
        {"num_layers": 4, "embedding_dim": 8, "epochs": 7, "rank": 3},
    )
    assert run.label == "LightGCN:num_layers=1"
    assert run.options["num_layers"] == 1
    assert run.options["embedding_dim"] == 8
    assert run.trainer["epochs"] == 7
    assert "rank" not in run.options  # another system's option
    assert run.trainer["patience"] == trainer_options()["patience"]


def test_the_step_size_is_the_models_own_unless_given():
    assert run_config(parse_spec("LightGCN")).trainer["lr"] == 1e-3
    assert run_config(parse_spec("LightGCN:lr=0.1")).trainer["lr"] == 0.1


def test_the_weight_decay_is_the_models_own_unless_given():
    assert run_config(parse_spec("LightGCN")).trainer["weight_decay"] == 0.0
    assert run_config(parse_spec("SLMRec")).trainer["weight_decay"] == 1e-4
    given = run_config(parse_spec("SLMRec"), {"weight_decay": 0.0})
    assert given.trainer["weight_decay"] == 0.0


def test_the_decay_of_the_step_size_is_the_models_own_unless_given():
    assert run_config(parse_spec("LightGCN")).trainer["lr_decay"] == 1.0
    assert run_config(parse_spec("MGCN")).trainer["lr_decay"] == 0.96
    assert run_config(parse_spec("MGCN:lr_decay=1.0")).trainer["lr_decay"] == 1.0


def test_keys_differ_by_option_seed_and_data():
    run = run_config(parse_spec("MF-BPR"))
    other = run_config(parse_spec("MF-BPR"), {"reg_weight": 0.5})
    keys = {
        run.key(1, "a"),
        run.key(2, "a"),
        run.key(1, "b"),
        other.key(1, "a"),
    }
    assert len(keys) == 4


def test_names_are_brought_to_the_registrys_spelling():
    assert str(canonical(parse_spec("vbpr+clear"))) == "VBPR+CLEAR"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LightGNC", r"unknown model 'LightGNC' - did you mean 'LightGCN'\?"),
        ("VBPR+CLAER", r"unknown plug-in 'CLAER' - did you mean 'CLEAR'\?"),
        (
            "VBPR:reg_wieght=1",
            r"unknown option of VBPR 'reg_wieght' - .*'reg_weight'\?",
        ),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(text, message):
    with pytest.raises(UserError, match=message):
        canonical(parse_spec(text))


def test_a_setting_must_belong_to_some_system():
    specs = [parse_spec("MF-BPR"), parse_spec("LightGCN")]
    check_settings({"num_layers": 1, "patience": 2}, specs)
    with pytest.raises(UserError, match=r"unknown option 'num_layer' - did you mean"):
        check_settings({"num_layer": 1}, specs)
    with pytest.raises(UserError, match=r"unknown option 'seed' - .*known: .*patience"):
        check_settings({"seed": 1}, specs)


@pytest.mark.parametrize(
    ("spec", "name", "value", "wanted"),
    [
        ("MF-BPR", "epochs", None, "an integer"),
        ("MF-BPR", "epochs", True, "an integer"),
        ("MF-BPR", "batch_size", 1.5, "an integer"),
        ("MF-BPR", "lr", True, "a finite number or null"),
        ("MF-BPR", "weight_decay", "x", "a finite number or null"),
        ("MF-BPR", "reg_weight", float("nan"), "a finite number"),
        ("CLEAR", "rank", 1.5, "an integer"),
        ("CLEAR", "center_output", 1, "true or false"),
        ("CLEAR", "modality_weights", {"visual": "x"}, "a table of values by name"),
        ("VBPR+SEA", "align_weight", "x", "a finite number"),
        ("VBPR+SEA", "align", 3, "a word or null"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(spec, name, value, wanted):
    message = rf"option {name} must be {wanted}.* \(got .*\) - correct the option"
    system = parse_spec(spec)
    with pytest.raises(UserError, match=message):
        run_config(system, {name: value})
    with pytest.raises(UserError, match=message):
        check_settings({name: value}, [system])
    with pytest.raises(UserError, match=message):
        canonical(replace(system, options={name: value}))
    assert "rank" not in run_config(parse_spec("MF-BPR"), {"rank": "x"}).options


def test_the_defaults_of_every_system_are_of_their_own_types():
    for model, plugin in product(available_models(), [None, *available_plugins()]):
        spec = ModelSpec(model, plugin)
        every = run_config(spec)
        given = {**every.options, **trainer_options(), **every.trainer}
        check_settings(given, [spec])
        types = model_options(model, plugin)
        assert set(model_options(model, plugin)) == set(types), "an option without one"


def test_an_integer_is_a_number_and_stays_as_it_was_written():
    run = run_config(parse_spec("MF-BPR"), {"reg_weight": 1})
    assert type(run.options["reg_weight"]) is int  # keys of runs hang on it
