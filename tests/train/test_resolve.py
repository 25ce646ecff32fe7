from __future__ import annotations

import pytest

from mmgraph.errors import UserError
from mmgraph.train.resolve import canonical, check_settings, resolve, trainer_options
from mmgraph.train.spec import parse_spec


def test_options_of_the_spec_win_over_settings_and_those_over_defaults():
    run = resolve(
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
    assert resolve(parse_spec("LightGCN")).trainer["lr"] == 1e-3
    assert resolve(parse_spec("LightGCN:lr=0.1")).trainer["lr"] == 0.1


def test_the_weight_decay_is_the_models_own_unless_given():
    assert resolve(parse_spec("LightGCN")).trainer["weight_decay"] == 0.0
    assert resolve(parse_spec("SLMRec")).trainer["weight_decay"] == 1e-4
    given = resolve(parse_spec("SLMRec"), {"weight_decay": 0.0})
    assert given.trainer["weight_decay"] == 0.0


def test_the_decay_of_the_step_size_is_the_models_own_unless_given():
    assert resolve(parse_spec("LightGCN")).trainer["lr_decay"] == 1.0
    assert resolve(parse_spec("MGCN")).trainer["lr_decay"] == 0.96
    assert resolve(parse_spec("MGCN:lr_decay=1.0")).trainer["lr_decay"] == 1.0


def test_keys_differ_by_option_seed_and_data():
    run = resolve(parse_spec("MF-BPR"))
    other = resolve(parse_spec("MF-BPR"), {"reg_weight": 0.5})
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
    check_settings(["num_layers", "patience"], specs)
    with pytest.raises(UserError, match=r"unknown option 'num_layer' - did you mean"):
        check_settings(["num_layer"], specs)
    with pytest.raises(UserError, match=r"unknown option 'seed' - .*known: .*patience"):
        check_settings(["seed"], specs)
