from __future__ import annotations

import copy
import math
from functools import partial

import pytest
import torch
from reference.sea import (
    BETA,
    WIDTHS,
    align_reference,
    away_from_start,
    bound_over_all_pairs,
    embeddings,
    encoded,
    frozen_conditional,
    halves,
    make,
    mapped,
    released_bound,
)

from mmgraph.data import synthetic
from mmgraph.models import Batch, build_model
from mmgraph.models.sea import SEA
from mmgraph.nn.losses import CLUBLoss
from mmgraph.train import Trainer

THREE = {"visual": 6, "textual": 8, "acoustic": 10}


@pytest.fixture
def planted(catalogue, randomise):
    return partial(away_from_start, catalogue, randomise)


# Loss and gradients --------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "split_at", "widths"),
    [
        *((variant, "encoder", WIDTHS) for variant in "abcd"),
        *((variant, "graph", WIDTHS) for variant in "abcd"),
        *((variant, "encoder", THREE) for variant in "ac"),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, dict) else value,
)
def test_loss_and_gradients_equal_a_dense_reference(
    planted, batch, dense, agree, gaussian_conditional, variant, widths, split_at
):
    model, data = planted(widths, variant=variant, split_at=split_at)
    z = encoded(model, data, dense)
    z_user, z_item, h_item = embeddings(model, data, dense, z)
    expected = {"bpr": dense.bpr(z_user, z_item, batch)}
    z = z if split_at == "encoder" else h_item
    expected["align"] = align_reference(model, z, dense, symmetric=variant in "cd")
    distances = []
    if variant in "bd":
        for generic, unique in halves(z).values():
            distances.append(-((generic - unique) ** 2).sum() / generic.numel())
    else:
        for x, y in mapped(model, z, dense).values():
            mean, log_var = frozen_conditional(model, gaussian_conditional, x)
            distances.append(bound_over_all_pairs(mean, log_var, y).clamp(min=0))
        assert any(bound > 0 for bound in distances)
    expected["distance"] = BETA * sum(distances) / len(distances)
    agree(model, model.loss(data, batch), expected)


def test_released_loss_and_gradients_equal_a_dense_reference(
    planted, batch, dense, agree, gaussian_conditional
):
    model, data = planted(fidelity="released")
    z = encoded(model, data, dense)
    z_user, z_item, _ = embeddings(model, data, dense, z)
    expected = {
        "bpr": dense.bpr(z_user, z_item, batch) / math.log(2),
        "align": align_reference(model, z, dense, symmetric=False),
    }
    torch.manual_seed(5)
    bounds = []
    for x, y in mapped(model, z, dense).values():
        mean, log_var = frozen_conditional(model, gaussian_conditional, x)
        permutation = torch.randperm(14)
        bounds.append(released_bound(mean, log_var, y, permutation))
    assert all(bound > 0 for bound in bounds)
    expected["distance"] = 2 * BETA * sum(bounds) / 2  # theirs is on half the bound
    torch.manual_seed(5)
    agree(model, model.loss(data, batch), expected)


@pytest.mark.parametrize("variant", "bd")
def test_released_negative_distance_has_its_whole_weight(
    planted, batch, dense, variant
):
    model, data = planted(variant=variant, fidelity="released")
    parts = halves(encoded(model, data, dense)).values()
    squares = [((generic - unique) ** 2).mean() for generic, unique in parts]
    expected = -BETA * sum(squares) / len(squares)
    found = model.loss(data, batch)["distance"]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("split_at", ["encoder", "graph"])
@pytest.mark.parametrize("variant", "abcd")
def test_losses_of_the_batch_are_those_of_its_items_alone(
    planted, batch, variant, split_at
):
    model, data = planted(variant=variant, split_at=split_at, candidates="batch")
    items = sorted({*batch.pos_item.tolist(), *batch.neg_item.tolist()})
    assert 2 < len(items) < 14
    z = model._encode_modalities(data)
    if split_at == "graph":
        z = model.fuse(data, model.hidden(z))[2]
    separate = copy.deepcopy(model.separate)
    expected = separate({m: x[items] for m, x in z.items()})
    terms = model.loss(data, batch)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-12)
    everything = separate(z)
    assert abs(everything["align"] - terms["align"]) > 1e-3


def test_the_batch_is_left_as_it_was(planted, batch):
    model, data = planted(fidelity="released", club_inner_steps=1)
    before = Batch(*(part.clone() for part in batch))
    model.loss(data, batch)
    assert all(map(torch.equal, batch, before))


def test_live_parameters_of_the_published_shape():
    with torch.device("meta"):
        model = SEA(19445, 7050, {"visual": 4096, "textual": 384})
    assert sum(p.numel() for p in model.main_parameters()) == 20_937_258
    assert sum(p.numel() for p in model.all_auxiliary_parameters()) == 1104
    assert sum(p.numel() for p in model.parameters()) == 20_937_258 + 1104


# What is scored ------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_released_scores_are_those_of_the_last_step_before_its_update(
    planted, batch, dense, fidelity
):
    model, data = planted(fidelity=fidelity)
    z = encoded(model, data, dense)
    stale = embeddings(model, data, dense, z)[:2]
    torch.stack(list(model.loss(data, batch).values())).sum().backward()
    torch.optim.SGD(model.main_parameters(), lr=0.5).step()
    fresh = embeddings(model, data, dense, encoded(model, data, dense))[:2]
    model.eval()
    expected, other = (stale, fresh) if fidelity == "released" else (fresh, stale)
    for mine, right, wrong in zip(model.encode(data), expected, other, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)
        assert (mine - wrong).abs().max() > 1e-3


def test_released_scores_exist_before_any_step(planted, dense):
    model, data = planted(fidelity="released")
    model.eval()
    expected = embeddings(model, data, dense, encoded(model, data, dense))[:2]
    for mine, other in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)


# Options -------------------------------------------------------------------------


def test_encoders_keep_the_width_of_the_features_unless_told(catalogue):
    data = catalogue(WIDTHS)
    assert make(data).modality_dims() == WIDTHS
    narrow = make(data, encoder_dim=4)
    assert narrow.modality_dims() == {"visual": 4, "textual": 4}
    z = narrow._encode_modalities(data)
    assert {m: x.size(1) for m, x in z.items()} == {"visual": 4, "textual": 4}


def test_one_modality_is_not_aligned_but_parted(planted, batch):
    model, data = planted({"visual": 6})
    terms = model.loss(data, batch)
    assert "align" not in terms or terms["align"] == 0
    assert terms["distance"] > 0


def test_bad_options_are_refused(catalogue):
    with pytest.raises(ValueError, match=r"'candidates' must be one of .*got 'some'"):
        make(catalogue(WIDTHS), candidates="some")
    data = catalogue(WIDTHS)
    for options, message in (
        ({"variant": "e"}, r"'variant' must be one of 'a', 'b', 'c', 'd' .got 'e'"),
        ({"split_at": "end"}, r"'split_at' must be one of .*got 'end'"),
        ({"user_weights": "fixed"}, "'user_weights' must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            make(data, **options)


def test_odd_halves_have_no_distance(catalogue):
    with pytest.raises(ValueError, match="'neg_l2' needs even dimensions"):
        make(catalogue({"visual": 5, "textual": 8}), variant="b")


# Learning ------------------------------------------------------------------------


def mean_cosine(model, data):
    """Of the generic heads of one item in two modalities."""
    separate, z = model.separate, model._encode_modalities(data)
    with torch.no_grad():
        a, b = (separate.heads[m](x) for m, x in separate.split(z)[0].items())
    return (a * b).sum(dim=1).mean().item()


def information(model, data, steps=120):
    """Between the halves of each modality, by an estimator fitted from scratch."""
    pairs = model.separate.distance_inputs(model._encode_modalities(data))
    total = 0.0
    for x, y in pairs.values():
        torch.manual_seed(0)
        club = CLUBLoss(32, 32, clamp=False)
        optimizer = torch.optim.Adam(club.parameters(), 1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            club.estimator_loss(x, y).backward()
            optimizer.step()
        total += club.bound(x, y).item()
    return total


def test_training_aligns_generic_halves_and_parts_the_unique_ones():
    train, val, _, _ = synthetic(seed=1, num_users=100, num_items=150)
    cosine, shared = {}, {}
    for beta in (0.0, 0.05):
        torch.manual_seed(0)
        model = build_model(
            "SEA",
            train,
            align_weight=0.5,
            distance_weight=beta,
            club_inner_steps=5,
            club_lr=1e-2,
            club_standardize=False,
            club_order="fit-first",
        )
        before = mean_cosine(model, train)
        trainer = Trainer(epochs=6, eval_every=6, lr=5e-3, batch_size=256, device="cpu")
        trainer.fit(model, train, val)
        model.train()
        cosine[beta] = before, mean_cosine(model, train)
        shared[beta] = information(model, train)
    for before, after in cosine.values():
        assert after > before + 0.2
    assert shared[0.05] < 0.5 * shared[0.0]
