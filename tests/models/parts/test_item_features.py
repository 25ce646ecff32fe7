from __future__ import annotations

import pytest
import torch
from torch import nn

from mmgraph.models import build_model, model_options
from mmgraph.models.parts.item_features import TrainedFeatures, encode_features

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
