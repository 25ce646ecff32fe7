from __future__ import annotations

import inspect

import pytest

from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import build
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.systems import check_system, list_systems, system_options
from mmgraph.data import load_dataset
from mmgraph.errors import UserError
from mmgraph.models import available_floors, available_models, build_model
from mmgraph.models.registry import resolve_model

#: What features as narrow as those of the embedded catalogue ask for.
OPTIONS = {("MMGCN", "SEA"): {"map_above": 0}}


@pytest.mark.parametrize("names", [[], ["visual"], ["visual", "textual"]])
def test_the_modalities_that_a_system_needs_are_those_it_is_built_with(names):
    train = load_dataset("synthetic", modalities=names)[0]
    systems = list_systems()
    listed = [system.name for system in systems]
    assert listed == available_models() + available_floors()
    for system in systems:
        if len(names) >= system.least_modalities:
            build_model(system.name, train)
        else:
            with pytest.raises(UserError):
                build_model(system.name, train)


def test_the_plug_ins_of_a_system_are_those_that_can_be_attached():
    train = load_dataset("synthetic")[0]
    for system in list_systems():
        for plugin in ("CLEAR", "SEA"):
            if plugin in system.plugins:
                options = OPTIONS.get((system.name, plugin), {})
                build_model(system.name, train, plugin=plugin, **options)
            else:
                with pytest.raises(UserError):
                    build_model(system.name, train, plugin=plugin)


def test_every_option_of_the_constructor_is_described():
    for name in available_models() + available_floors():
        described = system_options(parse_spec(name))
        own = set(inspect.signature(resolve_model(name)[1]).parameters)
        listed = {option.name for option in described.options}
        passed_on = {"num_users", "num_items", "dims", "fidelity", "options"}
        assert own - passed_on <= listed
        assert all(option.domain and option.help for option in described.options)
        assert all(option.help for option in described.trainer)


@pytest.mark.parametrize(
    "text",
    [
        *("MF-BPR+clear", "CLEAR+clear", "SEA+sea", "LayerGCN@released"),
        *("SEAb:variant=a", "VBPR:embedding_dim=-3", "VBPR+CLEAR:rnk=3"),
        *("VBPR+CLEAR:rank=100", "MICRO+CLEAR:where=graph,energy=0.9"),
        *("FREEDOM+SEA:reg_weight=0", "VBPR:seed=3"),
    ],
)
def test_what_training_would_refuse_on_any_data_is_not_described(text):
    train = load_dataset("synthetic")[0]
    with pytest.raises(UserError) as trained:
        build(run_config(parse_spec(text)), train)
    with pytest.raises(UserError) as described:
        system_options(parse_spec(text))
    assert str(described.value) == str(trained.value)


@pytest.mark.parametrize(
    "text",
    [
        "CLEAR:sides=acoustic",
        'FREEDOM:modality_weights={"acoustic": 0.2, "clip": 0.3, "text": 0.5}',
        "CLEAR:sides='clip.v2'",
        "MMGCN+SEA",
    ],
)
def test_what_some_data_suit_is_described(text):
    assert system_options(parse_spec(text)).options


@pytest.mark.parametrize("plugin", ["", "+CLEAR", "+SEA"])
def test_a_system_is_refused_exactly_where_the_table_says(plugin):
    for system in list_systems():
        for fidelity in ("paper", "released"):
            spec = parse_spec(f"{system.name}{plugin}@{fidelity}")
            if fidelity in system.fidelities and (
                not plugin or plugin[1:] in system.plugins
            ):
                check_system(spec)
            else:
                with pytest.raises(UserError):
                    check_system(spec)


def test_defaults_are_those_of_the_spec():
    described = system_options(parse_spec("slmrec+clear:rank=3,lr=0.5"))
    assert str(described.spec) == "SLMRec+CLEAR:rank=3,lr=0.5"
    run = run_config(described.spec)
    assert {o.name: o.default for o in described.options} == run.options
    assert {o.name: o.default for o in described.trainer} == run.trainer
    assert (run.options["rank"], run.trainer["lr"]) == (3, 0.5)
    assert run.trainer["weight_decay"] == 1e-4  # the model's own
