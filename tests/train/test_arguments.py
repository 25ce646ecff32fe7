from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.train import Trainer, evaluate, recommend


@pytest.mark.parametrize(
    ("place", "given"),
    [
        (place, given)
        for place in range(3)
        for given in (None, 3, {}, torch.nn.Linear(1, 1))
        if (place, given) != (2, None)  # no validation
    ],
)
def test_what_is_no_model_or_no_split_is_one_line(splits, place, given):
    arguments = [build_model("MF-BPR", splits[0]), *splits[:2]]
    arguments[place] = given
    name = ("the model", "train", "val")[place]
    kind = ("Recommender", "HeteroData", "HeteroData")[place]
    with pytest.raises(UserError) as error:
        Trainer(epochs=1, device="cpu").fit(*arguments)
    assert error.value.what == f"{name} is {type(given).__name__}, not {kind}"
    if place < 2:
        for call in (evaluate, partial(recommend, users=torch.tensor([0]), k=3)):
            with pytest.raises(
                UserError, match=f"is {type(given).__name__}, not {kind}"
            ):
                call(*arguments[:2])


def test_users_that_are_no_tensor_and_data_without_edges_are_one_line(splits):
    model = build_model("MF-BPR", splits[0])
    with pytest.raises(UserError, match="users is NoneType, not Tensor - give their"):
        recommend(model, splits[0], None, 3)
    with pytest.raises(UserError, match="the split has no edge_index - give one"):
        evaluate(model, HeteroData())
    with pytest.raises(UserError, match=r"node types are .*, not user then item"):
        Trainer(epochs=1, device="cpu").fit(model, HeteroData(), splits[1])


def test_a_split_of_other_features_than_those_of_the_training_is_not_evaluated(splits):
    train, val, test = splits
    model = build_model("VBPR", train)
    Trainer(epochs=1, device="cpu").fit(model, train, val)
    expected = evaluate(model, test)
    equal, other, lacking = (copy.copy(test) for _ in range(3))
    equal["item"].x_visual = train["item"].x_visual.clone()
    assert evaluate(model, equal) == expected
    other["item"].x_visual = train["item"].x_visual + 1
    del lacking["item"]["x_visual"]
    for given in (other, lacking):
        with pytest.raises(UserError, match="x_visual of the split is not that the mo"):
            evaluate(model, given)
