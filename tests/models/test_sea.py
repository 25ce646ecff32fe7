from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmgraph.data import synthetic
from mmgraph.models import Batch, build_model
from mmgraph.models.plugin import Plugin
from mmgraph.models.sea import SEA
from mmgraph.nn.losses import CLUBLoss
from mmgraph.train import Trainer

WIDTHS = {"visual": 6, "textual": 8}
THREE = {"visual": 6, "textual": 8, "acoustic": 10}
INTERACTS = ("user", "interacts", "item")
ALPHA, BETA, T = 0.3, 0.2, 0.4
CENTRED = ("first", "rest.2")  # layers in front of a batch norm


def make(data, fidelity="paper", **options):
    options = {
        "embedding_dim": 6,
        "hidden_dim": 7,
        "align_weight": ALPHA,
        "distance_weight": BETA,
        "temperature": T,
        "club_inner_steps": 0,
    } | options
    return build_model("SEA", data, fidelity=fidelity, **options)


# The equations, dense and in loops ----------------------------------------------


def encoded(model, data, dense):
    return {
        m: dense.linear(encoder, data["item"][f"x_{m}"])
        for m, encoder in model.encoders.items()
    }


def embeddings(model, data, dense, z):
    """Users, items, and each modality's items (Eqs. 6-7, 12, 17)."""
    size = data["item"].num_nodes
    matrix = dense.user_item(data[INTERACTS].edge_index, 9, size)
    h = []
    for m, mlp in model.mlps.items():
        small = dense.linear(mlp.second, dense.leaky(dense.linear(mlp.first, z[m])))
        x = dense.unit_rows(torch.cat([model.propagate.preference[m], small]))
        h.append(sum(dense.layers(matrix, x, 2)))
    weight = model.fuse_users.weight
    z_user = torch.cat([weight[:, m] * x[:9] for m, x in enumerate(h)], dim=1)
    z_item = torch.cat([x[9:] for x in h], dim=1)
    items = {m: x[9:] for m, x in zip(model.mlps, h, strict=True)}
    return z_user, z_item + dense.item_graph(data) @ z_item, items


def halves(z):
    return {m: (x[:, : x.size(1) // 2], x[:, x.size(1) // 2 :]) for m, x in z.items()}


def standardised(x):
    mean, var = x.mean(0), x.var(0, unbiased=False)
    return (x - mean) / (var + 1e-5).sqrt()


def head_output(head, x, dense):
    norm_1, _, linear_2, norm_2, _, linear_3 = head.rest
    x = dense.linear(head.first, x)
    x = (standardised(x) * norm_1.weight + norm_1.bias).clamp(min=0)
    x = dense.linear(linear_2, x)
    x = (standardised(x) * norm_2.weight + norm_2.bias).clamp(min=0)
    return dense.unit_rows(dense.linear(linear_3, x))


def solosim_loop(anchor, candidate):
    total = 0.0
    for i in range(len(anchor)):
        likelihood = ((anchor[i] * candidate).sum(dim=1) / T).exp()
        total = total - (likelihood[i] / likelihood.sum()).log()
    return total / len(anchor)


def align_reference(model, z, dense, symmetric):
    """Mean over the pairs of modalities, the later one as anchor (Eq. 16)."""
    head = {
        m: head_output(model.separate.heads[m], generic, dense)
        for m, (generic, _) in halves(z).items()
    }
    names, losses = list(z), []
    for later in range(1, len(names)):
        for earlier in range(later):
            a, b = head[names[later]], head[names[earlier]]
            loss = solosim_loop(a, b)
            losses.append((loss + solosim_loop(b, a)) / 2 if symmetric else loss)
    return ALPHA * sum(losses) / len(losses)


def mapped(model, z, dense):
    """The two inputs of the estimator per modality."""
    separate, out = model.separate, {}
    for m, (generic, unique) in halves(z).items():
        if separate.maps_generic:
            generic = dense.linear(separate.maps_generic[m], generic)
            unique = dense.linear(separate.maps_unique[m], unique)
        out[m] = generic, unique
    return out


def log_q(mean, log_var, y):
    return -((mean - y) ** 2 / (2 * log_var.exp()) + log_var / 2).sum()


def frozen_conditional(model, gaussian_conditional, x):
    club = copy.deepcopy(model.separate.club["shared"]).requires_grad_(False)
    return gaussian_conditional(club, x)


def bound_over_all_pairs(mean, log_var, y):
    """Eq. 15 as it stands, with both sums."""
    size, total = len(y), 0.0
    for i in range(size):
        every = log_q(mean[i].expand_as(y), log_var[i].expand_as(y), y)
        total = total + log_q(mean[i], log_var[i], y[i]) - every / size
    return total / size


def released_bound(mean, log_var, y, permutation):
    """The public code's: one permutation, halved twice, nothing below zero."""
    total = 0.0
    for i, other in enumerate(permutation.tolist()):
        gain = (mean[i] - y[other]) ** 2 - (mean[i] - y[i]) ** 2
        total = total + (gain / log_var[i].exp()).sum() / 2 / 2
    return (total / len(y)).clamp(min=0)


@pytest.fixture
def planted(catalogue, randomise):
    """A model away from its start, with an estimator that has seen these data."""

    def build(widths=WIDTHS, fidelity="paper", **options):
        data = catalogue(widths)
        model = randomise(make(data, fidelity, **options))
        data = model.prepare(data)
        model.train()
        fit_right_pairs(model, data)
        return model, data

    return build


def fit_right_pairs(model, data, steps=60):
    """So that the bound is above zero: below, it is cut off and has no gradient."""
    separate = model.separate
    if not separate.club:
        return
    z = model.encode_modalities(data)
    if model.split_at == "graph":
        z = model.fuse(data, model.hidden(z))[2]
    pairs = separate.distance_inputs(z)
    club = separate.club["shared"]
    optimizer = torch.optim.Adam(club.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(club.estimator_loss(x, y) for x, y in pairs.values()).backward()
        optimizer.step()
    model.zero_grad()


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
    expected["distance"] = BETA * sum(bounds) / 2
    torch.manual_seed(5)
    agree(model, model.loss(data, batch), expected)


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
        model.separate.club_step(model.encode_modalities(data))
        club = model.separate.club["shared"]
        pairs = model.separate.distance_inputs(model.encode_modalities(data))
        judge = CLUBLoss(32, 32, clamp=False)  # the full bound for both
        judge.load_state_dict(club.state_dict())
        bounds[fidelity] = [judge.bound(x, y).item() for x, y in pairs.values()]
    for right, wrong in zip(bounds["paper"], bounds["released"], strict=True):
        assert right > 5 * abs(wrong) + 0.5


# The composed path ---------------------------------------------------------------


@pytest.mark.parametrize("variant", "ac")
@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_composed_maps_equal_the_direct_path(
    catalogue, batch, agree, fidelity, variant
):
    # Wide enough, and items enough, that composing pays for one of the two modalities.
    data = catalogue({"visual": 400, "textual": 40}, num_items=160)
    composed = make(data, fidelity, variant=variant, club_inner_steps=3, hidden_dim=4)
    data = composed.prepare(data)
    direct = copy.deepcopy(composed)
    direct.plugin = Plugin()  # does nothing, but wants the encoders' output itself
    losses = []
    for model in (composed, direct):
        model.train()
        torch.manual_seed(2)
        losses.append(model.loss(data, batch))
    for a, b in zip(
        composed.auxiliary_parameters(), direct.auxiliary_parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    gradients = []
    for model, terms in zip((composed, direct), losses, strict=True):
        torch.stack(list(terms.values())).sum().backward()
        gradients.append({k: p.grad for k, p in model.named_parameters()})
    for name in losses[0]:
        torch.testing.assert_close(losses[0][name], losses[1][name], rtol=1e-8, atol=0)
    for key, gradient in gradients[0].items():
        other = gradients[1][key.replace("plugin.", "")]
        if gradient is None or other is None:
            assert gradient is other is None, key
        else:
            torch.testing.assert_close(gradient, other, rtol=1e-7, atol=1e-11)


def test_composed_embeddings_equal_the_direct_ones_and_cost_less(catalogue):
    data = catalogue({"visual": 400, "textual": 40}, num_items=160)
    model = make(data, hidden_dim=4)
    data, out, flops = model.prepare(data), [], []
    for plugin in (None, Plugin()):
        model.plugin = plugin
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            out.append(model.encode(data))
        flops.append(counter.get_total_flops())
    for composed, direct in zip(*out, strict=True):
        torch.testing.assert_close(composed, direct, rtol=1e-9, atol=1e-11)
    assert flops[0] < 0.5 * flops[1]


def test_both_paths_name_the_same_terms(planted, batch):
    """A history has one set of columns, whatever is switched off."""
    model, data = planted(align_weight=0.0)
    composed = model.loss(data, batch)
    model.plugin = Plugin()
    assert composed.keys() == model.loss(data, batch).keys()


# Who moves whom ------------------------------------------------------------------


def test_live_parameters_of_the_published_shape():
    with torch.device("meta"):
        model = SEA(19445, 7050, {"visual": 4096, "textual": 384})
    assert sum(p.numel() for p in model.main_parameters()) == 20_937_258
    assert sum(p.numel() for p in model.auxiliary_parameters()) == 1104
    assert sum(p.numel() for p in model.parameters()) == 20_937_258 + 1104


def test_the_fit_moves_no_model_parameter_and_the_step_no_estimator(planted, batch):
    model, data = planted(club_inner_steps=4)
    main, own = model.main_parameters(), model.auxiliary_parameters()
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
    before = [p.detach().clone() for p in model.auxiliary_parameters()]
    model.eval()
    model.loss(data, batch)
    assert all(map(torch.equal, model.auxiliary_parameters(), before))


def test_the_batch_is_left_as_it_was(planted, batch):
    model, data = planted(fidelity="released", club_inner_steps=1)
    before = Batch(*(part.clone() for part in batch))
    model.loss(data, batch)
    assert all(map(torch.equal, batch, before))


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
    assert make(data).modality_widths() == WIDTHS
    narrow = make(data, encoder_dim=4)
    assert narrow.modality_widths() == {"visual": 4, "textual": 4}
    z = narrow.encode_modalities(data)
    assert {m: x.size(1) for m, x in z.items()} == {"visual": 4, "textual": 4}


def test_one_modality_is_not_aligned_but_parted(planted, batch):
    model, data = planted({"visual": 6})
    terms = model.loss(data, batch)
    assert "align" not in terms or terms["align"] == 0
    assert terms["distance"] > 0


def test_bad_options_are_refused(catalogue):
    data = catalogue(WIDTHS)
    for options, message in (
        ({"variant": "e"}, r"'variant' must be one of \['a', 'b', 'c', 'd'\] .got 'e'"),
        ({"split_at": "end"}, r"'split_at' must be one of .*got 'end'"),
        ({"user_weights": "fixed"}, "'mode' must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            make(data, **options)


def test_odd_halves_have_no_distance(catalogue):
    with pytest.raises(ValueError, match="'neg_l2' needs even widths"):
        make(catalogue({"visual": 5, "textual": 8}), variant="b")


# Learning ------------------------------------------------------------------------


def mean_cosine(model, data):
    """Of the generic heads of one item in two modalities."""
    separate, z = model.separate, model.encode_modalities(data)
    with torch.no_grad():
        a, b = (separate.heads[m](x) for m, x in separate.split(z)[0].items())
    return (a * b).sum(dim=1).mean().item()


def information(model, data, steps=120):
    """Between the halves of each modality, by an estimator fitted from scratch."""
    pairs = model.separate.distance_inputs(model.encode_modalities(data))
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
