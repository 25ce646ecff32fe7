"""SEA's estimator: what it is fitted to, and who moves whom."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from reference.sea import WIDTHS, away_from_start, encoded, log_q, make, mapped

from mmgraph.models import SEA, resolve_plugin
from mmgraph.nn.losses import CLUBLoss

CENTRED = ("first", "rest.2")  # layers in front of a batch norm


@pytest.fixture
def planted(catalogue, randomise):
    return partial(away_from_start, catalogue, randomise)


def test_a_bound_below_zero_is_cut_off(planted, batch, randomise):
    model, data = planted()
    randomise(model.separate.club, scale=3.0)  # fits nothing
    distance = model.loss(data, batch)["distance"]
    assert distance == 0
    gradients = torch.autograd.grad(
        distance, model.main_parameters(), allow_unused=True, materialize_grads=True
    )
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_the_estimator_is_fitted_to_its_pairs(
    planted, batch, dense, gaussian_conditional, fidelity
):
    model, data = planted(fidelity=fidelity, club_inner_steps=1, club_lr=1e-3)
    (g_v, u_v), (g_t, u_t) = mapped(model, encoded(model, data, dense), dense).values()
    # Paper: generic to unique of one modality. Released: the same half of two.
    pairs = [(g_v, u_v), (g_t, u_t)]
    if fidelity == "released":
        pairs = [(g_t, g_v), (u_t, u_v)]
    club = model.separate.club["shared"]
    before = [p.detach().clone() for p in club.parameters()]
    loss = 0.0
    for x, y in pairs:
        mean, log_var = gaussian_conditional(club, x.detach())
        loss = loss - log_q(mean, log_var, y.detach()) / 14
    gradients = torch.autograd.grad(loss, list(club.parameters()))
    model.loss(data, batch)
    for p, old, g in zip(club.parameters(), before, gradients, strict=True):
        step = 1e-3 * g / (g.abs() + 1e-8)  # Adam's first
        torch.testing.assert_close(p.detach(), old - step, rtol=1e-9, atol=1e-10)


def test_q_of_the_right_pairs_sees_what_q_of_the_wrong_pairs_misses(catalogue):
    """Unique halves are a linear function of the generic ones, modalities unrelated."""
    data = catalogue({"visual": 8, "textual": 8}, num_items=200)
    for m in ("visual", "textual"):
        generic = torch.randn(200, 4)
        data["item"][f"x_{m}"] = torch.cat([generic, generic @ torch.randn(4, 4)], 1)
    bounds = {}
    for fidelity in ("paper", "released"):
        torch.manual_seed(0)
        model = make(data, fidelity, club_inner_steps=150, club_lr=2e-2)
        with torch.no_grad():
            for encoder in model.encoders.values():
                encoder.weight.copy_(torch.eye(8))
        model.separate.club_step(model._encode_modalities(data))
        club = model.separate.club["shared"]
        pairs = model.separate.distance_inputs(model._encode_modalities(data))
        judge = CLUBLoss(32, 32, clamp=False)  # the full bound for both
        judge.load_state_dict(club.state_dict())
        bounds[fidelity] = [judge.bound(x, y).item() for x, y in pairs.values()]
    for right, wrong in zip(bounds["paper"], bounds["released"], strict=True):
        assert right > 5 * abs(wrong) + 0.5


def test_the_fit_moves_no_model_parameter_and_the_step_no_estimator(planted, batch):
    model, data = planted(club_inner_steps=4)
    main, own = model.main_parameters(), model.all_auxiliary_parameters()
    assert {id(p) for p in main} | {id(p) for p in own} == {
        id(p) for p in model.parameters()
    }
    before = [p.detach().clone() for p in main]
    own_before = [p.detach().clone() for p in own]
    terms = model.loss(data, batch)  # fits the estimator on the way
    assert all(map(torch.equal, main, before))
    assert not any(map(torch.equal, own, own_before))
    own_before = [p.detach().clone() for p in own]
    optimizer = torch.optim.SGD(main, lr=0.1)
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in own)
    optimizer.step()
    assert all(map(torch.equal, own, own_before))
    names = {id(p): name for name, p in model.named_parameters()}
    still = [
        names[id(p)] for p, old in zip(main, before, strict=True) if torch.equal(p, old)
    ]
    # A bias in front of a batch norm is subtracted again.
    cancels = {f"separate.heads.{m}.{n}.bias" for m in WIDTHS for n in CENTRED}
    assert set(still) <= cancels


def test_the_estimator_rests_in_evaluation(planted, batch):
    model, data = planted(club_inner_steps=4)
    before = [p.detach().clone() for p in model.all_auxiliary_parameters()]
    model.eval()
    model.loss(data, batch)
    assert all(map(torch.equal, model.all_auxiliary_parameters(), before))


@pytest.mark.parametrize(
    ("fidelity", "dims", "expected"),
    [
        ("paper", WIDTHS, (10, 0.03, 1024, True, "paper")),
        ("released", WIDTHS, (50, 1e-4, 0, False, "released")),
        ("released", {"visual": 6}, (50, 1e-4, 0, False, "paper")),
    ],
)
def test_the_fidelity_decides_about_the_estimator(fidelity, dims, expected):
    names = ("inner_steps", "lr", "rows", "standardize", "pairs")
    separate = SEA(3, 5, dims, fidelity=fidelity).separate
    assert tuple(getattr(separate, f"club_{name}") for name in names) == expected
    assert (separate.club_fit, separate.club_order) == ("adam", "loss-first")
    given = {"club_inner_steps": 3, "club_standardize": fidelity != "paper"}
    separate = SEA(3, 5, dims, fidelity=fidelity, **given).separate
    assert {name: getattr(separate, name) for name in given} == given


@pytest.mark.parametrize(
    ("options", "plugin"),
    [
        ({}, None),
        ({"split_at": "graph"}, None),
        ({}, "clear"),
        ({"variant": "b"}, None),
    ],
)
def test_the_bounds_of_an_epoch_and_of_all_items_are_measured(
    planted, batch, options, plugin
):
    model, data = planted(club_inner_steps=2, **options)
    if plugin:
        model.attach(resolve_plugin(plugin)[1], rank=2)
    model.start_epoch(data, 1, torch.Generator())
    for _ in range(2):
        model.training_loss(data, batch)
    of_epoch = model.epoch_measures(1)
    state = torch.get_rng_state()
    at_evaluation = model.evaluation_measures(data)
    assert torch.equal(torch.get_rng_state(), state)
    if "variant" in options:
        assert of_epoch == at_evaluation == {}
        return
    assert set(of_epoch) == {f"{m}/{n}" for m in WIDTHS for n in ("clamped", "bound")}
    pairs = model.distance_inputs(data)
    for m, bound in model.separate.own_bounds(pairs).items():
        assert at_evaluation[f"{m}/bound_own"] == bound.item()
        assert at_evaluation[f"{m}/bound_refitted"] > bound.item()
    model.start_epoch(data, 2, torch.Generator())
    assert model.epoch_measures(2) == {}
