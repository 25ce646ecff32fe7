from __future__ import annotations

import pytest
import torch

from mmgraph.bench.buildable import buildable
from mmgraph.bench.config import run_config
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


def test_options_that_do_not_go_together_leave_a_system_out():
    train = load_dataset("synthetic")[0]
    apart = runs("MF-BPR", "FREEDOM+SEA", reg_weight=0)
    accepted, reasons = buildable(apart, train)
    assert [run.label for run in accepted] == ["MF-BPR"]
    assert "do not reach its scores" in reasons["FREEDOM+SEA"]
