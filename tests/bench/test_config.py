from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from itertools import product

import pytest

from mmgraph.bench.config import (
    _LATER,
    _LATER_OF_PLUGINS,
    _LATER_OPTIONS,
    canonical,
    check_settings,
    check_values,
    run_config,
    trainer_options,
    without_option,
)
from mmgraph.bench.experiment import build_run
from mmgraph.bench.spec import ModelSpec, parse_spec
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.models import available_models, available_plugins, build_model
from mmgraph.models.registry import model_options
from mmgraph.train.epoch_seed import DRAWS


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
    assert run.trainer["patience"] == trainer_options()["patience"].default


def test_the_learning_rate_is_the_models_own_unless_given():
    assert run_config(parse_spec("LightGCN")).trainer["lr"] == 1e-3
    assert run_config(parse_spec("LightGCN:lr=0.1")).trainer["lr"] == 0.1


def test_the_weight_decay_is_the_models_own_unless_given():
    assert run_config(parse_spec("LightGCN")).trainer["weight_decay"] == 0.0
    assert run_config(parse_spec("SLMRec")).trainer["weight_decay"] == 1e-4
    given = run_config(parse_spec("SLMRec"), {"weight_decay": 0.0})
    assert given.trainer["weight_decay"] == 0.0


def test_the_decay_of_the_learning_rate_is_the_models_own_unless_given():
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
            r"unknown option 'reg_wieght' of VBPR - .*'reg_weight'\?",
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
    with pytest.raises(UserError, match=r"unknown option 'xyz' - .*from .*patience"):
        check_settings({"xyz": 1}, specs)
    with pytest.raises(UserError, match=r"option 'rnk' of VBPR - did you mean 'rank'"):
        check_settings({"rnk": 1}, [parse_spec("VBPR+CLEAR")])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("seed", "give it as --seed"),
        ("device", "give it as --device"),
        ("threads", "give it as --threads"),
        ("fidelity", "write NAME@released, or give --fidelity where"),
        ("plugin", r"write NAME\+PLUGIN"),
    ],
)
def test_what_has_a_flag_of_its_own_is_named_with_it(name, remedy):
    spec = parse_spec("VBPR")
    of_one = f"unknown option '{name}' of VBPR - {remedy}"
    with pytest.raises(UserError, match=of_one):
        run_config(spec, {name: 1}, strict=True)
    with pytest.raises(UserError, match=of_one):
        canonical(parse_spec(f"VBPR:{name}=1"))
    with pytest.raises(UserError, match=f"unknown option '{name}' - {remedy}"):
        check_settings({name: 1}, [spec, parse_spec("LightGCN")])


def test_an_unknown_option_is_said_in_one_order_through_every_door():
    train = load_dataset("synthetic")[0]
    said = set()
    for call in (
        lambda: canonical(parse_spec("VBPR:rnk=3")),
        lambda: run_config(parse_spec("VBPR"), {"rnk": 3}, strict=True),
        lambda: check_settings({"rnk": 3}, [parse_spec("VBPR")]),
        lambda: build_model("VBPR", train, rnk=3),
    ):
        with pytest.raises(UserError) as caught:
            call()
        said.add(caught.value.what)
    assert said == {"unknown option 'rnk' of VBPR"}


@pytest.mark.parametrize("value", [10**30, -(10**30), [[2**63]], "x" * 10**7])
def test_values_too_large_to_mean_anything_are_refused_at_once(value):
    spec = parse_spec("VBPR")
    for call in (
        lambda: run_config(spec, {"embedding_dim": value}),
        lambda: run_config(replace(spec, options={"embedding_dim": value})),
        lambda: check_settings({"embedding_dim": value}, [spec]),
    ):
        with pytest.raises(
            UserError, match=r"'embedding_dim' (does not fit|has 10,00)"
        ):
            call()


def test_settings_of_one_system_must_be_its_own():
    own = run_config(parse_spec("LightGCN"), {"num_layers": 1, "lr": 1.0}, strict=True)
    assert own.options["num_layers"] == 1
    with pytest.raises(UserError, match=r"unknown option 'rank' of LightGCN - "):
        run_config(parse_spec("LightGCN"), {"rank": 1}, strict=True)


BAD_VALUES = [
    ("MF-BPR", "epochs", None, "an integer at least 1"),
    ("MF-BPR", "epochs", True, "an integer at least 1"),
    ("MF-BPR", "epochs", 0, "at least 1"),
    ("MF-BPR", "batch_size", 1.5, "an integer at least 1"),
    ("MF-BPR", "lr", True, "a number above 0 or null"),
    ("MF-BPR", "weight_decay", "x", "a number at least 0 or null"),
    ("MF-BPR", "reg_weight", float("nan"), "a number at least 0"),
    ("MF-BPR", "embedding_dim", -4, "at least 1"),
    ("CLEAR", "rank", 1.5, "an integer at least 0"),
    ("CLEAR", "center_output", 1, "true or false"),
    ("CLEAR", "modality_weights", {"visual": "x"}, "a mapping of names to values"),
    ("SEA", "encoder_dim", -4, "at least 1"),
    ("SEA", "club_lr", -1.0, "above 0"),
    ("VBPR+SEA", "align_weight", "x", "a number at least 0"),
    ("VBPR+SEA", "align", 3, ""),
]


@pytest.mark.parametrize(("text", "name", "value", "domain"), BAD_VALUES)
def test_a_bad_value_is_refused_by_name_when_the_run_is_built(
    splits, text, name, value, domain
):
    message = rf"'{name}' must be {domain}.*\(got {re.escape(repr(value))}\) - correct"
    system = parse_spec(text)
    for run in (
        run_config(system, {name: value}),
        run_config(replace(system, options={name: value})),
    ):
        with pytest.raises(UserError, match=message):
            build_run(run, splits, device="cpu")
    with pytest.raises(UserError, match=message):
        check_values({name: value}, [system])


def test_a_value_for_another_system_is_nobodys_mistake():
    assert "rank" not in run_config(parse_spec("MF-BPR"), {"rank": "x"}).options
    check_values({"rank": "x"}, [parse_spec("MF-BPR")])


def test_the_defaults_of_every_system_are_of_their_own_types():
    for model, plugin in product(available_models(), [None, *available_plugins()]):
        spec = ModelSpec(model, plugin)
        run = run_config(spec)
        check_values({**run.options, **run.trainer}, [spec])


def test_an_integer_is_a_number_and_stays_as_it_was_written():
    run = run_config(parse_spec("MF-BPR"), {"reg_weight": 1})
    assert type(run.options["reg_weight"]) is int  # keys of runs hang on it


def test_keys_of_runs_from_before_an_option_stay():
    run = run_config(parse_spec("LightGCN"))
    older = {
        k: v
        for k, v in run.trainer.items()
        if k not in {"sampled_neighbors", "optimizer", "shard_embeddings"}
    }
    before = replace(run, trainer=older)
    parts = [run.label, run.options, older, 1, "sha", DRAWS]
    text = json.dumps(parts, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert run.key(1, "sha") == before.key(1, "sha") == digest
    for name, value in {"optimizer": "sparse-adam", "sampled_neighbors": [3]}.items():
        other = replace(run, trainer=run.trainer | {name: value})
        assert other.key(1, "sha") != digest


def test_who_lacks_which_option_is_found_by_the_declarations():
    specs = [ModelSpec(name) for name in ("MF-BPR", "LightGCN", "VBPR")]
    names = ["num_layers", "reg_weight", "epochs"]
    lacking = {
        name: [s.model for s in specs if name not in model_options(s.model)]
        for name in names[:2]
    }
    expected = {name: systems for name, systems in lacking.items() if systems}
    assert without_option(names, specs) == expected


def test_keys_of_runs_from_before_an_option_of_systems_stay():
    for name in ("VBPR+CLEAR", "CLEAR"):
        run = run_config(parse_spec(name))
        later = dict(_LATER_OPTIONS)
        if name == "VBPR+CLEAR":
            later |= _LATER_OF_PLUGINS
        older = {k: v for k, v in run.options.items() if k not in later}
        trainer = {k: v for k, v in run.trainer.items() if k not in _LATER}
        parts = [run.label, older, trainer, 1, "sha", DRAWS]
        text = json.dumps(parts, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert run.key(1, "sha") == digest
        other = replace(run, options=run.options | {"train_features": True})
        assert other.key(1, "sha") != digest
    # What CLEAR had before stays in its key.
    clear = run_config(parse_spec("CLEAR"))
    without = {k: v for k, v in clear.options.items() if k != "center_output"}
    assert clear.key(1, "") != replace(clear, options=without).key(1, "")
