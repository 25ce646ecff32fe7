from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import Batch, available_models, build_model, model_options
from mmgraph.models.parts.item_features import (
    TrainedFeatures,
    column_moments,
    encode_features,
    scale_features,
)
from mmgraph.models.registry import MODELS
from mmgraph.train.evaluation import evaluate
from mmgraph.train.trainer import Trainer

WIDTHS = {"visual": 6, "textual": 4}
#: Systems whose public code trains the raw features.
TRAINING = ["BM3", "FREEDOM", "MGCN", "LATTICE", "MICRO"]


@pytest.fixture
def encoders(float64):
    return nn.ModuleDict({m: nn.Linear(dim, 5) for m, dim in WIDTHS.items()})


def test_every_modality_goes_through_its_encoder(catalogue, encoders, dense):
    data = catalogue(WIDTHS)
    out = encode_features(encoders, data)
    assert list(out) == list(WIDTHS)
    for m, z in out.items():
        expected = dense.linear(encoders[m], data["item"][f"x_{m}"])
        torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-14)


def test_rows_are_those_of_the_whole_and_may_come_back(catalogue, encoders):
    data, rows = catalogue(WIDTHS), torch.tensor([3, 0, 3])
    whole, some = encode_features(encoders, data), encode_features(encoders, data, rows)
    for m in WIDTHS:
        torch.testing.assert_close(some[m], whole[m][rows], rtol=1e-12, atol=1e-14)


def test_trained_features_take_the_place_of_those_in_the_data(catalogue, encoders):
    data = catalogue(WIDTHS)
    trained = TrainedFeatures(14, {"visual": 6})  # of one modality alone
    out = encode_features(encoders, data, trained=trained)
    expected = encoders["visual"].bias.expand(14, 5)  # the table is all zeros
    assert torch.equal(out["visual"], expected)
    assert torch.equal(out["textual"], encode_features(encoders, data)["textual"])
    out["visual"].sum().backward()
    expected = encoders["visual"].weight.sum(dim=0).expand(14, 6)
    torch.testing.assert_close(trained["visual"].grad, expected)


def test_a_copy_is_trained_and_the_data_stay(catalogue):
    data = catalogue(WIDTHS)
    trained = TrainedFeatures(14, WIDTHS)
    trained.copy_from(data)
    for m, table in trained.items():
        assert torch.equal(table, data["item"][f"x_{m}"])
        assert table.data_ptr() != data["item"][f"x_{m}"].data_ptr()
        assert table.requires_grad


@pytest.mark.parametrize("name", TRAINING)
def test_released_systems_train_a_copy_and_paper_systems_none(
    catalogue, batch, first_epoch, name
):
    data = catalogue(WIDTHS)
    original = {m: data["item"][f"x_{m}"].clone() for m in WIDTHS}
    assert not make(name, data, "paper").features
    model = make(name, data, "released")
    for m in WIDTHS:
        assert torch.equal(model.features[m], original[m])
    data = first_epoch(model, data)
    optimizer = torch.optim.SGD(model.main_parameters(), lr=1.0)
    torch.stack(list(model.loss(data, batch).values())).sum().backward()
    optimizer.step()
    for m in WIDTHS:
        assert not torch.equal(model.features[m], original[m])
        assert torch.equal(data["item"][f"x_{m}"], original[m])


def make(name, data, fidelity):
    known = model_options(name)
    options = {k: v for k, v in {"embedding_dim": 5, "k": 4}.items() if k in known}
    return build_model(name, data, fidelity=fidelity, **options)


MULTIMODAL = [name for name in available_models() if MODELS[name].multimodal]
#: MMSSL's steps are of a batch's users, PAMD's of a first stage: as small as can be.
SMALL = {"PAMD": {"pretrain_epochs": 1}, "MMSSL": {"critic_dim": 2}}


def trained(name, splits, **options):
    torch.manual_seed(3)
    own = SMALL.get(name, {})
    model = build_model(name, splits[0], embedding_dim=8, **own, **options)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    history = Trainer(epochs=2, lr=0.01, seed=3, device="cpu").fit(model, *splits[:2])
    return model, before, history.rows


@pytest.fixture(scope="module")
def toy():
    *splits, _ = synthetic(
        num_users=40,
        num_items=30,
        interactions_per_user=8,
        modalities={"visual": 12, "textual": 10},
    )
    return splits


@pytest.mark.parametrize("name", MULTIMODAL)
def test_every_system_can_train_the_raw_features(toy, name):
    model, before, _ = trained(name, toy, train_features=True)
    for m in ("visual", "textual"):
        own = model.own_features[m]
        assert torch.equal(before[f"own_features.{m}"], toy[0]["item"][f"x_{m}"])
        assert not torch.equal(own, before[f"own_features.{m}"])
    plain, start, _ = trained(name, toy)
    assert start.keys() == {k for k in before if not k.startswith("own_features")}
    # The graphs are those of the raw features, and the data stay as they were.
    graphs, raw = (each.add_graphs(toy[0]) for each in (model, plain))
    for edge_type in raw.edge_types:
        assert torch.equal(graphs[edge_type].edge_index, raw[edge_type].edge_index)
    assert not toy[0]["item"].x_visual.requires_grad
    # It is loaded as it was saved.
    torch.manual_seed(4)
    options = {"embedding_dim": 8, **SMALL.get(name, {})}
    other = build_model(name, toy[0], train_features=True, **options)
    other.load_state_dict(model.state_dict())
    assert evaluate(other, toy[2]) == evaluate(model, toy[2])


@pytest.mark.parametrize("name", ["FREEDOM", "FREEDOM+SEA"])
def test_it_is_what_the_public_code_does(toy, name):
    # FREEDOM's public code trains the features and does nothing else otherwise.
    name, _, plugin = name.partition("+")
    options = {"plugin": plugin or None, "reg_weight": 0.1}
    ours = trained(name, toy, train_features=True, **options)
    released = trained(name, toy, fidelity="released", **options)
    times = ("seconds", "seconds_evaluation")
    rows = [
        [{k: v for k, v in row.items() if k not in times} for row in each[2]]
        for each in (ours, released)
    ]
    assert rows[0] == rows[1]
    for m in ("visual", "textual"):
        assert torch.equal(ours[0].own_features[m], released[0].features[m])
    # Where they are trained already there is no second copy.
    both, _, _ = trained(name, toy, fidelity="released", train_features=True, **options)
    assert not len(both.own_features)


@pytest.mark.parametrize("name", ["VBPR", "SLMRec", "CLEAR"])
def test_gradients_of_trained_features_are_those_of_the_loss(toy, name):
    torch.manual_seed(3)
    model = build_model(name, toy[0], embedding_dim=8, train_features=True).double()
    data = model.add_graphs(toy[0])
    batch = Batch(*torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]]))

    def loss():
        model.start_epoch(data, 1, torch.Generator().manual_seed(0))
        return torch.stack(list(model.training_loss(data, batch).values())).sum()

    with torch.no_grad():
        loss()  # as an evaluation does: nothing of it may be kept
    model.zero_grad()
    loss().backward()
    own = model.own_features["visual"]
    grad, step = own.grad.clone(), 1e-6
    grad[~own.any(dim=1)] = 0  # a row of zeros has no direction to differentiate
    row, column = divmod(int(grad.abs().argmax()), grad.size(1))
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            own[row, column] += sign * step
            values.append(loss().item())
            own[row, column] -= sign * step
    slope = (values[0] - values[1]) / (2 * step)
    assert slope == pytest.approx(grad[row, column].item(), rel=1e-3)


def test_features_can_be_read_on_another_scale(catalogue):
    data = catalogue(WIDTHS)
    x = data["item"].x_visual
    known = torch.ones(14, dtype=torch.bool)
    known[4] = False
    data["item"].mask_visual = known
    values = x.numpy()
    model = build_model("VBPR", data, feature_scale="standardized")
    view = model.add_graphs(data)
    expected = (values - values[known].mean(axis=0)) / values[known].std(axis=0)
    expected[4] = 0
    np.testing.assert_allclose(
        view["item"].x_visual.numpy(), expected, rtol=1e-5, atol=1e-6
    )
    assert model.add_graphs(view)["item"].x_visual is view["item"].x_visual
    assert data["item"].x_visual is x  # the input stays
    unit = build_model("VBPR", data, feature_scale="unit").add_graphs(data)
    expected = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(unit["item"].x_visual.numpy(), expected, rtol=1e-5)
    both = build_model("VBPR", data, feature_scale="unit", train_features=True)
    assert torch.equal(both.own_features["visual"], unit["item"].x_visual)
    constant = torch.tensor([[2.0, 0.0], [2.0, 1.0]])
    found = scale_features(constant, "standardized")
    assert found.tolist() == [[0.0, -1.0], [0.0, 1.0]]


def test_systems_without_features_have_no_such_option(catalogue):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match="unknown option 'train_features' of LightGCN"):
        build_model("LightGCN", data, train_features=True)
    with pytest.raises(UserError, match="'feature_scale' must be one of"):
        build_model("VBPR", data, feature_scale="z")
    with pytest.raises(UserError, match="did you mean 'train_features'"):
        build_model("VBPR", data, train_feature=True)


@pytest.mark.parametrize("masked", [False, True])
def test_a_row_of_zeros_is_missing_on_every_scale(masked):
    x = torch.randn(8, 3) + 2
    x[[1, 5]] = 0
    mask = torch.ones(8, dtype=torch.bool) if masked else None
    for scale in ("raw", "standardized", "unit"):
        assert scale_features(x, scale, mask).any(dim=1).tolist() == x.any(1).tolist()
    present = scale_features(x, "standardized", mask)[x.any(dim=1)]
    torch.testing.assert_close(present.mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)


def without_features_of_its_own(name, data, **options):
    """The graphs that a system reads, and the features as the data have them."""
    return build_model(name, data, **options).add_graphs(data)


@pytest.mark.parametrize("name", MULTIMODAL)
@pytest.mark.parametrize("how", ["standardized", "trained"])
def test_it_does_not_matter_whether_the_data_are_a_view(toy, name, how):
    settings = {"embedding_dim": 8, **SMALL.get(name, {})}
    plain = without_features_of_its_own(name, toy[0], **settings)
    torch.manual_seed(5)
    chosen = {"train_features": True} if how == "trained" else {"feature_scale": how}
    model = build_model(name, toy[0], **settings, **chosen)
    with torch.no_grad():
        for own in model.own_features.values():
            own.add_(torch.randn_like(own))
    view = model.add_graphs(toy[0])
    assert not torch.equal(view["item"].x_visual, toy[0]["item"].x_visual)
    batch = Batch(*torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]]))

    @torch.no_grad()
    def read(data):
        one = copy.deepcopy(model)  # a loss may move an estimator
        z = *one.eval().encode(data), *one.encode_modalities(data).values()
        one.train().start_epoch(data, 1, torch.Generator().manual_seed(0))
        torch.manual_seed(6)
        return *z, *one.training_loss(data, batch).values()

    expected = read(view)
    moved = view.clone()  # other tensors of the same numbers, as on another device
    for data in (plain, moved):
        for found, wanted in zip(read(data), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_a_view_of_one_model_is_plain_data_to_another(catalogue):
    data = catalogue(WIDTHS)
    x = data["item"].x_visual
    view = build_model("VBPR", data, feature_scale="standardized").add_graphs(data)
    for scale in ("raw", "unit"):
        model = build_model("VBPR", data, feature_scale=scale)
        found = model.add_graphs(view)["item"].x_visual
        assert torch.equal(found, scale_features(x, scale))
    again = build_model("VBPR", view, feature_scale="standardized").add_graphs(view)
    assert torch.equal(again["item"].x_visual, view["item"].x_visual)


def test_the_scale_is_that_of_the_training_and_is_saved_with_the_model(catalogue):
    data, other = catalogue(WIDTHS), catalogue(WIDTHS)
    other["item"].x_visual = 3 * other["item"].x_visual + 1
    model = build_model("VBPR", data, feature_scale="standardized")
    x = data["item"].x_visual.numpy()
    expected = (other["item"].x_visual.numpy() - x.mean(axis=0)) / x.std(axis=0)
    found = model.add_graphs(other)["item"].x_visual.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    loaded = build_model("VBPR", other, feature_scale="standardized")
    assert loaded.add_graphs(other)["item"].x_visual.mean().abs() < 1e-12
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(*(m.encode(other)[1] for m in (model, loaded)))
    # A state of before has no scale: the model's own stays.
    state = model.state_dict()
    scale = {key for key in state if key.startswith("feature_moments.")}
    assert len(scale) == 4
    former = {key: value for key, value in state.items() if key not in scale}
    again = build_model("VBPR", data, feature_scale="standardized")
    again.load_state_dict(former)
    assert torch.equal(*(m.encode(data)[1] for m in (model, again)))
    for raw in ("raw", "unit"):
        assert (
            not scale & build_model("VBPR", data, feature_scale=raw).state_dict().keys()
        )


def test_without_any_feature_there_is_a_scale_too():
    mean, sd = column_moments(torch.zeros(3, 2))
    assert (mean.tolist(), sd.tolist()) == ([0, 0], [1, 1])
    mask = torch.zeros(3, dtype=torch.bool)
    assert not scale_features(torch.ones(3, 2), "standardized", mask).any()
