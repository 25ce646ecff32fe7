from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from mmgraph.functional import club_bound, info_nce, solosim
from mmgraph.nn.losses import SeparateLearningLoss

DIMS = {"visual": 16, "textual": 8}
THREE = DIMS | {"acoustic": 12}
TIGHT = {"atol": 1e-10, "rtol": 1e-10}


def vectors(dims=DIMS, rows=40):
    return {
        m: torch.randn(rows, d, dtype=torch.float64, requires_grad=True)
        for m, d in dims.items()
    }


def make(dims=DIMS, **options):
    options = {
        "club_inner_steps": 3,
        "align_weight": 0.5,
        "distance_weight": 0.25,
        "club_standardize": False,
    } | options
    return SeparateLearningLoss(dims, **options).double()


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_of_the_paper():
    loss = SeparateLearningLoss({"visual": 4096, "textual": 384})
    assert count(loss.heads["visual"]) == 137_632
    assert count(loss.heads["textual"]) == 18_848
    maps = (loss.maps_generic, loss.maps_unique)
    assert sum(count(m["visual"]) for m in maps) == 131_136
    assert sum(count(m["textual"]) for m in maps) == 12_352
    assert sum(p.numel() for p in loss.estimator_parameters()) == 1104
    assert count(loss) == 137_632 + 18_848 + 131_136 + 12_352 + 1104


def test_halves_are_generic_first_and_unique_second():
    z = {"visual": torch.arange(10.0).view(2, 5)}
    generic, unique = SeparateLearningLoss({"visual": 5}).split(z)
    assert generic["visual"].tolist() == [[0, 1], [5, 6]]
    assert unique["visual"].tolist() == [[2, 3, 4], [7, 8, 9]]


@pytest.mark.parametrize(
    ("align", "function"), [("solosim", solosim), ("info_nce", info_nce)]
)
def test_text_is_the_anchor_and_image_the_candidate(align, function):
    loss, z = make(align=align, temperature=0.3), vectors()
    head = {m: loss.heads[m](z[m][:, : DIMS[m] // 2]) for m in DIMS}
    expected = 0.5 * function(head["textual"], head["visual"], 0.3)
    torch.testing.assert_close(loss(z)["align"], expected, **TIGHT)


def test_three_modalities_average_over_pairs_and_modalities():
    loss, z = make(THREE, club_clamp=False), vectors(THREE)
    head = {m: loss.heads[m](z[m][:, : THREE[m] // 2]) for m in THREE}
    pairs = [("textual", "visual"), ("acoustic", "visual"), ("acoustic", "textual")]
    align = sum(solosim(head[a], head[c], 0.2) for a, c in pairs) / 3
    bounds = []
    for m, d in THREE.items():
        g = loss.maps_generic[m](z[m][:, : d // 2])
        u = loss.maps_unique[m](z[m][:, d // 2 :])
        mean, log_var = loss.club["shared"].conditional(g)
        bounds.append(club_bound(mean, log_var, u))
    terms = loss(z)
    torch.testing.assert_close(terms["align"], 0.5 * align, **TIGHT)
    torch.testing.assert_close(terms["distance"], 0.25 * sum(bounds) / 3, **TIGHT)


FOUR = THREE | {"tags": 6}


@pytest.mark.parametrize("dims", [THREE, FOUR])
@pytest.mark.parametrize(
    ("align", "function"), [("solosim", solosim), ("info_nce", info_nce)]
)
def test_more_modalities_average_other_losses_too(dims, align, function):
    loss, z = make(dims, align=align, distance="neg_l2"), vectors(dims)
    head = {m: loss.heads[m](z[m][:, : d // 2]) for m, d in dims.items()}
    names = list(dims)
    values = [
        function(head[names[j]], head[names[i]], 0.2)
        for j in range(len(names))
        for i in range(j)
    ]
    assert len(values) == len(names) * (len(names) - 1) // 2
    mse = [F.mse_loss(z[m][:, : d // 2], z[m][:, d // 2 :]) for m, d in dims.items()]
    terms = loss(z)
    torch.testing.assert_close(terms["align"], 0.5 * sum(values) / len(values), **TIGHT)
    expected = -0.25 * sum(mse) / len(names)
    torch.testing.assert_close(terms["distance"], expected, **TIGHT)


@pytest.mark.parametrize("club_shared", [True, False])
def test_of_more_modalities_only_the_estimators_move_in_their_step(club_shared):
    loss, z = make(THREE, club_shared=club_shared), vectors(THREE)
    estimator = {id(p) for p in loss.estimator_parameters()}
    assert len(loss.club) == (1 if club_shared else 3)
    before = {id(p): p.detach().clone() for p in loss.parameters()}
    loss.club_step(z)
    for p in loss.parameters():
        assert torch.equal(p, before[id(p)]) == (id(p) not in estimator)
    assert all(x.grad is None for x in z.values())


@pytest.mark.parametrize("dims", [DIMS, THREE])
@pytest.mark.parametrize("align", ["solosim", "info_nce"])
def test_constant_features_are_aligned_to_the_log_of_their_number(dims, align):
    """All logits are equal, so every item is as likely as any other."""
    loss = make(dims, align=align, align_weight=1.0)
    z = {m: torch.full((40, d), 3.0, dtype=torch.float64) for m, d in dims.items()}
    expected = torch.tensor(math.log(40), dtype=torch.float64)
    torch.testing.assert_close(loss(z)["align"], expected, **TIGHT)


def test_negative_distance_compares_the_halves_themselves():
    loss, z = make(distance="neg_l2"), vectors()
    assert not loss.maps_generic
    assert loss.estimator_parameters() == []
    assert loss.estimator_optimizer is None
    assert loss.club_step(z) is None
    mse = [F.mse_loss(z[m][:, : d // 2], z[m][:, d // 2 :]) for m, d in DIMS.items()]
    expected = -0.25 * sum(mse) / 2
    torch.testing.assert_close(loss(z)["distance"], expected, **TIGHT)


def test_without_maps_the_bound_takes_the_halves():
    dims = {"visual": 8, "textual": 8}
    loss, z = make(dims, mim_proj="none", club_clamp=False), vectors(dims)
    bounds = []
    for m in dims:
        mean, log_var = loss.club["shared"].conditional(z[m][:, :4])
        bounds.append(club_bound(mean, log_var, z[m][:, 4:]))
    expected = 0.25 * sum(bounds) / 2
    torch.testing.assert_close(loss(z)["distance"], expected, **TIGHT)


def test_one_modality_has_no_alignment():
    loss, z = make({"visual": 16}), vectors({"visual": 16})
    assert not loss.heads
    terms = loss(z)
    assert terms["align"] == 0
    assert terms["distance"].requires_grad


@pytest.mark.parametrize(
    "options",
    [{"align": None, "distance": None}, {"align_weight": 0, "distance_weight": 0}],
)
def test_terms_that_are_off_are_zero_and_cost_nothing(options):
    loss, z = make(**options), vectors()
    terms = loss(z)
    assert not any(term.requires_grad or term for term in terms.values())
    assert loss.club_step(z) is None


def test_club_step_moves_the_estimator_only_and_leaves_no_gradient():
    loss, z = make(), vectors()
    estimator = {id(p) for p in loss.estimator_parameters()}
    before = {id(p): p.detach().clone() for p in loss.parameters()}
    loss.club_step(z)
    for p in loss.parameters():
        assert torch.equal(p, before[id(p)]) == (id(p) not in estimator)
        assert p.grad is None
    assert all(x.grad is None for x in z.values())


def test_the_model_step_moves_all_but_the_estimator():
    loss, z = make(), vectors()
    estimator = {id(p) for p in loss.estimator_parameters()}
    before = {id(p): p.detach().clone() for p in loss.parameters()}
    loss.club_step(z)
    moved = {id(p): p.detach().clone() for p in loss.estimator_parameters()}
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1, weight_decay=0.1)
    sum(loss(z).values()).backward()
    optimizer.step()
    for p in loss.parameters():
        reference = moved[id(p)] if id(p) in estimator else before[id(p)]
        assert torch.equal(p, reference) == (id(p) in estimator)


@pytest.mark.parametrize("club_pairs", ["paper", "released"])
@pytest.mark.parametrize("dims", [DIMS, THREE])
def test_inner_loop_equals_one_written_out(dims, club_pairs):
    loss, z = make(dims, club_pairs=club_pairs, club_lr=0.01), vectors(dims)
    club = copy.deepcopy(loss.club["shared"])
    generic, unique = loss.split(z)
    g = {m: loss.maps_generic[m](generic[m]) for m in dims}
    u = {m: loss.maps_unique[m](unique[m]) for m in dims}
    pairs = {
        "paper": [(g[m], u[m]) for m in dims],
        "released": [
            (half[b], half[a])
            for i, a in enumerate(dims)
            for b in list(dims)[i + 1 :]
            for half in (g, u)
        ],
    }[club_pairs]
    optimizer = torch.optim.Adam(club.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        expected = sum(club.estimator_loss(x, y) for x, y in pairs)
        expected.backward()
        optimizer.step()
    actual = loss.club_step(z)
    torch.testing.assert_close(actual, expected.detach(), **TIGHT)
    ours = loss.club["shared"].parameters()
    for p, q in zip(ours, club.parameters(), strict=True):
        torch.testing.assert_close(p, q, **TIGHT)


def test_one_estimator_each_fits_unequal_halves():
    options = {"mim_proj": "none", "club_shared": False, "club_clamp": False}
    loss, z = make(**options), vectors()
    assert sorted(loss.club) == ["textual", "visual"]
    loss.club_step(z)
    bounds = [loss.club[m].bound(*loss.distance_inputs(z)[m]) for m in DIMS]
    expected = 0.25 * sum(bounds) / 2
    torch.testing.assert_close(loss(z)["distance"], expected, **TIGHT)


def test_paper_pairs_see_a_dependence_that_released_pairs_miss():
    # The unique half is a linear function of the generic half of its own modality.
    bounds = {}
    for club_pairs in ("paper", "released"):
        torch.manual_seed(0)
        z = {}
        for m in DIMS:
            half = torch.randn(300, 4)
            z[m] = torch.cat([half, half @ torch.randn(4, 4)], dim=1)
        loss = SeparateLearningLoss(
            dict.fromkeys(DIMS, 8),
            mim_proj="none",
            club_pairs=club_pairs,
            club_inner_steps=300,
            club_lr=0.02,
            distance_weight=1.0,
        )
        loss.club_step(z)
        bounds[club_pairs] = loss(z)["distance"].item()
    assert bounds["paper"] > 10 * bounds["released"]


def test_a_linear_encoder_may_be_multiplied_into_the_first_layers():
    loss = make(club_clamp=False)
    x = {m: torch.randn(40, 10, dtype=torch.float64) for m in DIMS}
    encoder = torch.nn.ModuleDict(
        {m: torch.nn.Linear(10, d).double() for m, d in DIMS.items()}
    )

    def fused(layer, linear, rows):
        weight = layer.weight @ linear.weight[rows]
        return weight, layer.weight @ linear.bias[rows] + layer.bias

    first, pairs = {}, {}
    for m, d in DIMS.items():
        low, high = slice(0, d // 2), slice(d // 2, d)
        first[m] = F.linear(x[m], *fused(loss.heads[m].first, encoder[m], low))
        pairs[m] = (
            F.linear(x[m], *fused(loss.maps_generic[m], encoder[m], low)),
            F.linear(x[m], *fused(loss.maps_unique[m], encoder[m], high)),
        )
    terms = loss({m: encoder[m](x[m]) for m in DIMS})
    torch.testing.assert_close(loss.align_loss(first), terms["align"], **TIGHT)
    torch.testing.assert_close(loss.distance_loss(pairs), terms["distance"], **TIGHT)


def test_the_estimators_optimizer_can_be_saved_and_resumed():
    loss, z = make(), vectors()
    loss.club_step(z)
    other = make()
    other.load_state_dict(loss.state_dict())
    saved = copy.deepcopy(loss.estimator_optimizer.state_dict())
    other.estimator_optimizer.load_state_dict(saved)
    loss.club_step(z)
    other.club_step(z)
    for p, q in zip(loss.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_club_step_works_where_gradients_are_off():
    loss, z = make(), vectors()
    with torch.no_grad():
        assert loss.club_step(z) is not None


def train_encoders(x, distance_weight):
    """Alignment per step, and the bound by a well-fitted judge at the end."""
    torch.manual_seed(1)
    encoder = torch.nn.ModuleDict({m: torch.nn.Linear(16, 8) for m in DIMS})
    dims = dict.fromkeys(DIMS, 8)
    loss = SeparateLearningLoss(
        dims,
        mim_proj="none",
        align_weight=1.0,
        distance_weight=distance_weight,
        club_inner_steps=5,
        club_lr=0.01,
    )
    optimizer = torch.optim.Adam(
        [*encoder.parameters(), *loss.heads.parameters()], lr=0.01
    )
    align = []
    for _ in range(150):
        z = {m: encoder[m](x[m]) for m in DIMS}
        loss.club_step(z)
        terms = loss(z)
        optimizer.zero_grad()
        (terms["align"] + terms["distance"]).backward()
        optimizer.step()
        align.append(terms["align"].item())
    judge = SeparateLearningLoss(
        dims, mim_proj="none", distance_weight=1.0, club_inner_steps=300, club_lr=0.02
    )
    z = {m: encoder[m](x[m]).detach() for m in DIMS}
    judge.club_step(z)
    return align, judge(z)["distance"].item()


def test_training_aligns_generic_halves_and_parts_the_unique_ones():
    # Planted: one factor in both modalities, one private factor each.
    shared, private = torch.randn(200, 4), torch.randn(2, 200, 4)
    x = {
        m: torch.cat([shared, own], dim=1) @ torch.randn(8, 16)
        for m, own in zip(DIMS, private, strict=True)
    }
    align, bound = train_encoders(x, distance_weight=1.0)
    _, bound_without = train_encoders(x, distance_weight=0.0)
    assert align[-1] < align[0] - 1
    assert bound < 0.5 * bound_without


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'align' must be one of .* \(got 'cosine'\)"):
        make(align="cosine")
    with pytest.raises(ValueError, match=r"'club_lr' must be above 0 \(got -1.0\)"):
        make(club_lr=-1.0)
    with pytest.raises(ValueError, match="'club_inner_steps' must be at least 0"):
        make(club_inner_steps=-1)
    text = (
        r"^SeparateLearningLoss: 'neg_l2' needs even dimensions \(got .*7}\) - "
        r"choose the distance 'mim'$"
    )
    with pytest.raises(ValueError, match=text):
        make({"visual": 7}, distance="neg_l2")
    text = (
        r"^SeparateLearningLoss: one estimator for all modalities needs equal "
        r"dimensions \(got "
        r".*'textual': 8.* - use mim_proj='linear' or club_shared=False$"
    )
    with pytest.raises(ValueError, match=text):
        make(mim_proj="none")
    text = (
        r"^SeparateLearningLoss: club_pairs='released' needs two modalities and "
        r"club_shared=True "
        r"\(got \['visual'\], club_shared=True\) - choose club_pairs='paper'$"
    )
    with pytest.raises(ValueError, match=text):
        make({"visual": 8}, club_pairs="released")
    with pytest.raises(ValueError, match=r"^Sep\w+: every .* 1}\) - use a larger emb"):
        make({"visual": 1})
    with pytest.raises(ValueError, match=r"dimensions must be .* \(got {'visual': 4"):
        make().split({"visual": torch.zeros(2, 4)})


def test_options_that_are_left_out_are_the_papers():
    loss = SeparateLearningLoss(DIMS)
    # The public code halves the bound: its 0.006.
    assert (loss.align_weight, loss.distance_weight) == (0.012, 0.006 / 2)
    assert (loss.club_fit, loss.club_order) == ("adam", "loss-first")
    # Not the public code's 50, 1e-4, 0 and False, which do not fit the estimator.
    assert (loss.club_inner_steps, loss.club_lr) == (10, 0.03)
    assert (loss.club_rows, loss.club_standardize) == (1024, True)
    assert loss.alignment.temperature == 0.2


def test_options_reach_the_parts():
    loss = make(proj_hidden=5, proj_out=3, mim_dim=7, club_hidden=2, block_size=9)
    assert loss.heads["textual"].first.weight.shape == (5, 4)
    assert loss.heads["textual"].rest[-1].weight.shape == (3, 5)
    assert loss.maps_unique["textual"].weight.shape == (7, 4)
    assert loss.club["shared"].conditional.mean[0].weight.shape == (2, 7)
    assert loss.alignment.block_size == 9
    club = make(club_estimator="sample", club_clamp=False).club["shared"]
    assert (club.estimator, club.clamp) == ("sample", False)
    assert make().club["shared"].clamp


@pytest.mark.parametrize("dim", [2, 3])
def test_the_smallest_halves_have_one_and_two_dimensions(dim):
    generic, unique = make({"visual": dim}).split({"visual": torch.ones(4, dim)})
    assert generic["visual"].shape == (4, 1)
    assert unique["visual"].shape == (4, dim - 1)


def test_no_step_and_no_weight_fit_nothing():
    z = vectors()
    assert make(club_inner_steps=0).club_step(z) is None
    loss = make(distance_weight=0)
    before = [p.detach().clone() for p in loss.estimator_parameters()]
    assert loss.fit_estimator(loss.distance_inputs(z)) is None
    for old, new in zip(before, loss.estimator_parameters(), strict=True):
        assert torch.equal(old, new)


def test_runs_on_the_device(device):
    loss, z = make().to(device), vectors()
    on_device = {m: x.detach().to(device) for m, x in z.items()}
    loss.club_step(on_device)
    terms = loss(on_device)
    assert all(term.device.type == device.type for term in terms.values())


@pytest.mark.parametrize("align", ["solosim", "info_nce"])
@pytest.mark.parametrize("distance", ["mim", "neg_l2"])
@pytest.mark.parametrize("estimator", ["closed", "sample"])
def test_a_single_row_has_no_alignment_and_an_empty_batch_is_refused(
    align, distance, estimator
):
    loss = make(
        align=align,
        distance=distance,
        club_estimator=estimator,
        club_inner_steps=2,
        align_weight=0.5,
        distance_weight=0.5,
    )
    z = vectors(rows=1)
    loss.club_step(z)
    terms = loss(z)
    sum(terms.values()).backward()
    assert terms["align"] == 0
    assert terms["distance"].isfinite()
    assert all(x.grad.isfinite().all() for x in z.values())
    loss.eval()  # where the heads take one row, too
    torch.testing.assert_close(loss(z)["align"], terms["align"])
    zeros = loss.align_loss({m: torch.zeros(1, 8) for m in loss.dims})
    assert zeros == 0
    text = r"SeparateLearningLoss: an empty batch has no .* - leave empty batches out$"
    with pytest.raises(ValueError, match=text):
        loss(vectors(rows=0))


def test_terms_that_are_not_asked_for_are_zero():
    terms = make(align=None, distance=None)(vectors())
    assert {name: float(term) for name, term in terms.items()} == {
        "align": 0,
        "distance": 0,
    }


# How the estimator is fitted ------------------------------------------------------


def zscored(x):
    return (x - x.mean(0)) / x.std(0, correction=0)


def test_standardised_halves_have_the_bound_of_their_z_scores():
    dims = {"visual": 8, "textual": 8}
    options = {"mim_proj": "none", "club_clamp": False, "align": None}
    loss, z = make(dims, club_standardize=True, **options), vectors(dims)
    bounds = []
    for m in dims:
        x, y = zscored(z[m][:, :4]), zscored(z[m][:, 4:])
        bounds.append(club_bound(*loss.club["shared"].conditional(x), y))
    expected = 0.25 * sum(bounds) / 2
    actual = loss(z)["distance"]
    torch.testing.assert_close(actual, expected, **TIGHT)
    inputs = list(z.values())
    grads = torch.autograd.grad(actual, inputs), torch.autograd.grad(expected, inputs)
    torch.testing.assert_close(*grads, **TIGHT)


@pytest.mark.parametrize("scale", [1e-2, 1e2])
def test_the_scale_of_the_vectors_changes_neither_fit_nor_bound(scale):
    values = []
    for factor in (1.0, scale):
        torch.manual_seed(0)
        loss, z = make(club_standardize=True, mim_proj="none", club_shared=False), {}
        for m, d in DIMS.items():
            z[m] = factor * torch.randn(40, d, dtype=torch.float64)
        loss.club_step(z)
        values.append(loss.own_bounds(loss.distance_inputs(z))["visual"])
    torch.testing.assert_close(*values, atol=1e-6, rtol=1e-6)


def test_vectors_of_small_scale_hide_from_an_estimator_that_is_not_standardised():
    """Its variance is 1 / e at least: it finds e times what it explains at most."""
    dims = {"visual": 8}
    half = torch.randn(400, 4)
    z = {"visual": 0.02 * torch.cat([half, half @ torch.randn(4, 4)], dim=1)}
    found = {}
    for standardize in (False, True):
        loss = SeparateLearningLoss(dims, mim_proj="none", club_standardize=standardize)
        found[standardize] = loss.refitted_bounds(loss.distance_inputs(z))["visual"]
    assert found[False] < math.e * 4 * 0.02**2 * 20
    assert found[True] > 5


@pytest.mark.parametrize("club_fit", ["adam", "closed-form"])
@pytest.mark.parametrize("order", ["loss-first", "fit-first"])
def test_a_loss_that_fits_does_so_in_the_order_that_was_asked_for(order, club_fit):
    loss, z = make(club_order=order, club_fit=club_fit, club_clamp=False), vectors()
    other = copy.deepcopy(loss)
    before = copy.deepcopy(loss.club.state_dict())
    actual = loss(z, fit=True)
    if order == "fit-first":
        other.club_step(z)
        expected = other(z)
    else:
        expected = other(z)
        other.club_step(z)
    assert torch.equal(actual["distance"], expected["distance"])
    for key, value in loss.club.state_dict().items():
        assert torch.equal(value, other.club.state_dict()[key])
        assert not torch.equal(value, before[key])
    # The estimator's steps come between the loss and its gradient.
    inputs = list(z.values())
    grads = [
        torch.autograd.grad(terms["distance"], inputs) for terms in (actual, expected)
    ]
    assert all(map(torch.equal, *grads))


def test_a_step_sees_as_many_rows_as_it_may(monkeypatch):
    loss, z = make(club_rows=7, club_inner_steps=40), vectors()
    seen = []
    method = type(loss.club["shared"]).estimator_loss
    monkeypatch.setattr(
        "mmgraph.nn.losses.club.CLUBLoss.estimator_loss",
        lambda club, x, y: seen.append((x, y)) or method(club, x, y),
    )
    loss.club_step(z)
    pairs = loss.distance_inputs(z)
    x, y = (torch.cat([pairs[m][n] for m in DIMS]).detach() for n in (0, 1))
    k = 6  # of 80 rows at most 14
    parts = [(x[first::k], y[first::k]) for first in range(k)]
    drawn = set()
    for a, b in seen:
        (n,) = (n for n in range(k) if torch.equal(parts[n][0], a))
        assert torch.equal(parts[n][1], b)
        assert len(a) <= 14
        drawn.add(n)
    assert drawn == set(range(k))  # 40 draws of 6


def test_closed_form_steps_end_with_the_best_output_layers():
    options = {"club_fit": "closed-form", "club_inner_steps": 1, "club_lr": 1e-9}
    loss, z = make(club_standardize=True, **options), vectors(rows=400)
    for _ in range(100):
        loss.club_step(z)
    club = loss.club["shared"]
    pairs = loss.distance_inputs(z)
    x, y = (torch.cat([zscored(pairs[m][n]) for m in DIMS]) for n in (0, 1))
    closed = club.estimator_loss(x, y).item()
    hidden = {id(p) for p in club.hidden_parameters()}
    heads = [p for p in club.parameters() if id(p) not in hidden]
    assert len(heads) == len(hidden) == 4
    optimizer = torch.optim.Adam(heads, lr=3e-3)
    for _ in range(1500):
        optimizer.zero_grad()
        adam = club.estimator_loss(x, y)
        adam.backward()
        optimizer.step()
    assert adam.item() == pytest.approx(closed, abs=1e-3)


def test_refitting_finds_what_is_there_and_changes_nothing():
    loss, z = make({"visual": 8}, mim_proj="none", club_rows=16), {}
    half = torch.randn(300, 4, dtype=torch.float64)
    z["visual"] = torch.cat([half, half @ torch.randn(4, 4).double()], dim=1)
    pairs = loss.distance_inputs(z)
    before = copy.deepcopy(loss.state_dict()), torch.get_rng_state()
    found = loss.refitted_bounds(pairs)["visual"]
    assert torch.equal(torch.get_rng_state(), before[1])
    for key, value in loss.state_dict().items():
        assert torch.equal(value, before[0][key])
    assert loss.own_bounds(pairs)["visual"] < 0.1 * found
    assert torch.equal(loss.refitted_bounds(pairs)["visual"], found)
    loss(z)
    torch.testing.assert_close(
        loss.own_bounds(pairs)["visual"], loss.bounds["visual"], **TIGHT
    )


def test_a_cut_off_bound_is_kept_as_it_was():
    loss, z = make(club_inner_steps=200, club_lr=1e-2), vectors()
    loss.club_step(z)
    last = loss.club["shared"].conditional.layers()[0][2:]
    with torch.no_grad():
        for p in last:
            p.neg_()  # fitted to the contrary
    assert loss(z)["distance"] == 0
    assert all(bound < 0 for bound in loss.bounds.values())
