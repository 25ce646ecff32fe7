from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mmgraph.models.parts.last_step import LastStepEmbeddings


@pytest.fixture
def tables():
    return torch.randn(4, 3, requires_grad=True), torch.randn(6, 3, requires_grad=True)


def test_evaluation_gets_what_the_last_training_step_kept(tables):
    last_step = LastStepEmbeddings(4, 6, 3)
    last_step.keep(torch.ones(4, 3), torch.ones(6, 3))
    last_step.keep(*tables)
    for got, kept in zip(last_step.eval().embeddings(), tables, strict=True):
        assert torch.equal(got, kept)
        assert not got.requires_grad


def test_nothing_is_kept_in_evaluation_mode(tables):
    last_step = LastStepEmbeddings(4, 6, 3).eval()
    last_step.keep(*tables)
    assert last_step.embeddings() is None


def test_nothing_is_given_in_training_mode_or_before_the_first_step(tables):
    last_step = LastStepEmbeddings(4, 6, 3)
    assert last_step.eval().embeddings() is None
    last_step.train().keep(*tables)
    assert last_step.embeddings() is None


def test_it_follows_the_mode_of_the_model_and_is_saved_with_it(tables):
    model, other = (
        nn.ModuleDict({"last_step": LastStepEmbeddings(4, 6, 3)}) for _ in range(2)
    )
    model["last_step"].keep(*tables)
    state = model.state_dict()
    assert set(state) == {"last_step.user", "last_step.item"}
    other.load_state_dict(state)
    for got, kept in zip(other.eval()["last_step"].embeddings(), tables, strict=True):
        assert torch.equal(got, kept)


def test_repr():
    assert repr(LastStepEmbeddings(4, 6, 3)) == "LastStepEmbeddings(4, 6, 3)"


@pytest.fixture
def later(tables):
    """Embeddings to be computed later, and how often they were."""
    calls = []

    def compute():
        calls.append(1)
        return tables

    last_step = LastStepEmbeddings(4, 6, 3)
    last_step.keep_later(compute)
    assert not calls
    return last_step, calls


@pytest.mark.parametrize(
    "read",
    [
        lambda module: module.eval().state_dict(),
        lambda module: module.state_dict(),
        lambda module: copy.deepcopy(module).state_dict(),
        lambda module: module.to(torch.float64).state_dict(),
        lambda module: dict(
            zip(("user", "item"), module.eval().embeddings(), strict=True)
        ),
    ],
    ids=["evaluation", "saving", "copying", "moving", "ranking"],
)
def test_what_is_kept_for_later_is_computed_once_when_it_is_read(tables, later, read):
    last_step, calls = later
    state = read(last_step)
    for name, kept in zip(("user", "item"), tables, strict=True):
        torch.testing.assert_close(state[name].float(), kept.detach())
        assert not state[name].requires_grad
    last_step.eval().embeddings()
    assert len(calls) == 1


def test_only_the_last_step_is_computed(later):
    last_step, calls = later
    ones = torch.ones(4, 3), torch.ones(6, 3)
    last_step.keep_later(lambda: ones)
    assert torch.equal(last_step.eval().embeddings()[0], ones[0])
    assert not calls


def test_a_loaded_state_replaces_what_is_kept_for_later(later):
    last_step, calls = later
    state = {"user": torch.ones(4, 3), "item": torch.ones(6, 3)}
    last_step.load_state_dict(state)
    assert torch.equal(last_step.eval().embeddings()[0], state["user"])
    assert not calls


def test_nothing_is_kept_for_later_in_evaluation_mode(tables):
    last_step = LastStepEmbeddings(4, 6, 3).eval()
    last_step.keep_later(lambda: tables)
    assert last_step.embeddings() is None
