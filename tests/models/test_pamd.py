from __future__ import annotations

from itertools import combinations, permutations

import pytest
import torch

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.pamd import PAMD, pointwise_loss
from mmgraph.train import Trainer

WIDTHS = {"visual": 6, "textual": 4}
THREE = WIDTHS | {"acoustic": 3}
FIDELITIES = ["paper", "released"]
T = 0.4


def make(data, fidelity="paper", **options):
    options = {"embedding_dim": 5, "contrast_temperature": T} | options
    return build_model("PAMD", data, fidelity=fidelity, **options)


# The equations, one item and one pair at a time ---------------------------------


def parts_of(model, data, i):
    """Whole, common and specific vector of one item, per modality."""
    out = {}
    for m in model.encoders:
        linear = model.encoders[m]
        f = linear.weight @ data["item"][f"x_{m}"][i] + linear.bias
        c = model.common[m].weight @ f
        out[m] = f, c, f - c
    return out


def item_vector(model, data, u, i):
    """The item as this user sees it."""
    user = model.user.weight[u]
    parts = [r for _, c, s in parts_of(model, data, i).values() for r in (c, s)]
    likelihood = torch.stack([(user * r).sum().exp() for r in parts])
    weight = likelihood / likelihood.sum()
    return model.item.weight[i] + sum(w * r for w, r in zip(weight, parts, strict=True))


def score(model, data, u, i):
    return (model.user.weight[u] * item_vector(model, data, u, i)).sum()


def cosine(x, y):
    return (x * y).sum() / ((x * x).sum() * (y * y).sum()).sqrt()


def pretraining(model, data, items):
    items = items.tolist()
    rows = [parts_of(model, data, i) for i in items]
    terms = {"similar": 0.0, "orthogonal": 0.0, "contrast": 0.0}
    for m, n in combinations(model.encoders, 2):
        for row in rows:
            (_, c_m, s_m), (_, c_n, s_n) = row[m], row[n]
            error = ((c_m - c_n) ** 2).sum() / 5 / len(items)
            terms["similar"] = terms["similar"] + error
            inner = (s_m * s_n).sum() ** 2 / len(items)
            terms["orthogonal"] = terms["orthogonal"] + inner
    for m, n in permutations(model.encoders, 2):
        decoder = model.decoders[m][n]
        cosines = []
        for i, row in zip(items, rows, strict=True):
            y = data["item"][f"x_{n}"][i]
            cosines.append(
                [cosine(y, decoder.weight @ r + decoder.bias) for r in row[m]]
            )
        batch_sum = sum(own for _, _, own in cosines)
        for full, shared, own in cosines:
            own = batch_sum if model.fidelity == "released" else own
            p_f, p_c, p_s = ((x / T).exp() for x in (full, shared, own))
            loss = -(p_c / (p_c + p_f + p_s)).log() - (p_f / (p_f + p_s)).log()
            terms["contrast"] = terms["contrast"] + loss / len(items)
    return terms


def same_gradients(model, mine, other):
    parameters = list(model.parameters())
    for a, b in zip(
        *(
            torch.autograd.grad(
                x,
                parameters,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            for x in (mine, other)
        ),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("widths", [WIDTHS, THREE])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_pretraining_terms_and_gradients_equal_a_loop_over_items(
    catalogue, randomise, fidelity, widths
):
    data = catalogue(widths)
    model = randomise(make(data, fidelity))
    items = torch.tensor([3, 11, 0, 7, 8])
    terms, expected = (
        model.pretrain_loss(data, items),
        pretraining(model, data, items),
    )
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        torch.testing.assert_close(term, expected[name], rtol=1e-8, atol=1e-12)
        same_gradients(model, term, expected[name])


def test_closed_form_scores_equal_explicit_vectors_per_pair(catalogue, randomise):
    data = catalogue(THREE)
    model = randomise(make(data))
    scores = model.score(*model.encode(data))
    expected = torch.stack(
        [torch.stack([score(model, data, u, i) for i in range(14)]) for u in range(9)]
    )
    torch.testing.assert_close(scores, expected, rtol=1e-10, atol=1e-12)
    some = model.score(model.encode(data)[0][2:5], model.encode(data)[1][:6])
    torch.testing.assert_close(some, expected[2:5, :6], rtol=1e-10, atol=1e-12)


def test_scores_are_no_inner_product_of_the_parts(catalogue, randomise):
    """A different user's attention gives a different item."""
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    seen = [item_vector(model, data, u, 0) for u in range(9)]
    assert all(not torch.allclose(seen[0], other) for other in seen[1:])


@pytest.mark.parametrize("widths", [WIDTHS, THREE])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_loop_over_triples(
    catalogue, batch, agree, randomise, fidelity, widths
):
    data = catalogue(widths)
    model = randomise(make(data, fidelity))
    total = 0.0
    for u, i, j in zip(*(part.tolist() for part in batch), strict=True):
        pos, neg = score(model, data, u, i), score(model, data, u, j)
        if fidelity == "released":
            good, bad = torch.sigmoid(pos), 1 - torch.sigmoid(neg)
            total = total - torch.log(good + 1e-24) - torch.log(bad + 1e-24)
        else:
            total = total - torch.log(torch.sigmoid(pos - neg)) / len(batch.user)
    agree(model, model.loss(data, batch), {"bpr": total})


def test_pointwise_loss_is_exact_where_the_sigmoid_is_not():
    # sigma(-100) = e^-100 < 1e-24, and 1 - sigma(40) rounds to 0 in float64.
    far = torch.tensor([-100.0, 3.0]).double().requires_grad_()
    mild = torch.tensor([0.0, 40.0]).double().requires_grad_()
    loss = pointwise_loss(far, mild)
    log_eps = torch.tensor(1e-24).double().log()
    expected = -log_eps + torch.log1p(torch.tensor(-3.0).double().exp())
    expected = expected + torch.tensor(2.0).double().log() + 40
    torch.testing.assert_close(loss, expected, rtol=1e-7, atol=0)
    # Below epsilon a positive has no pull left; a far negative is still pushed.
    g_far, g_mild = torch.autograd.grad(loss, (far, mild))
    assert abs(g_far[0]) < 1e-15
    torch.testing.assert_close(g_mild[1].item(), 1.0, rtol=1e-6, atol=0)


def test_a_released_batch_of_any_size_has_a_finite_pretraining_loss():
    train, *_ = synthetic(seed=0, num_users=60, num_items=400)
    model = make(train, "released", contrast_temperature=0.01)
    terms = model.pretrain_loss(train, torch.arange(400))
    assert all(term.isfinite() for term in terms.values())


def test_pretraining_moves_the_maps_and_no_table(catalogue):
    data = catalogue(WIDTHS)
    model = make(data, pretrain_epochs=2, pretrain_batch_size=5)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    model.pretrain(data, torch.Generator().manual_seed(0))
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith(("user", "item")), name
        assert p.grad is None
    fine_tuned = {id(p) for p in model.main_parameters()}
    assert not fine_tuned & {id(p) for p in model.decoders.parameters()}


def test_pretraining_ranks_common_before_whole_before_specific():
    train, *_ = synthetic(seed=0, num_users=60, num_items=200)
    torch.manual_seed(0)
    model = make(train, embedding_dim=8, pretrain_epochs=60, pretrain_lr=5e-3)
    items = torch.arange(200)
    start = {k: v.item() for k, v in model.pretrain_loss(train, items).items()}
    model.pretrain(train, torch.Generator().manual_seed(0))
    end = {k: v.item() for k, v in model.pretrain_loss(train, items).items()}
    assert sum(end.values()) < 0.6 * sum(start.values())
    f = model._encode_modalities(train)
    common, specific = model.disentangle(f)
    (m, n) = f
    y = train["item"][f"x_{n}"]
    quality = [
        torch.cosine_similarity(y, model.decoders[m][n](part[m])).mean()
        for part in (common, f, specific)
    ]
    assert quality[0] > quality[1] > quality[2]


class Counting(PAMD):
    """Counts its pretrainings."""

    count = 0

    def pretrain(self, data, generator):
        type(self).count += 1
        super().pretrain(data, generator)


def test_a_resumed_run_ends_alike_without_a_second_pretraining(tmp_path):
    train, val, _, _ = synthetic(seed=0, num_users=80, num_items=60)

    def run(epochs, **options):
        torch.manual_seed(7)
        model = Counting.from_data(train, embedding_dim=8, pretrain_epochs=2)
        trainer = Trainer(epochs=epochs, device="cpu", checkpoint_seconds=0)
        trainer.fit(model, train, val, **options)
        return model.state_dict()

    Counting.count = 0
    whole = run(4)
    assert Counting.count == 1
    run(2, checkpoint_dir=tmp_path)
    resumed = run(4, checkpoint_dir=tmp_path, resume=True)
    assert Counting.count == 2  # the first half's alone
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_resuming_an_empty_folder_pretrains(tmp_path):
    train, val, _, _ = synthetic(seed=0, num_users=80, num_items=60)
    model = Counting.from_data(train, embedding_dim=8, pretrain_epochs=1)
    Counting.count = 0
    Trainer(epochs=1, device="cpu").fit(
        model, train, val, checkpoint_dir=tmp_path, resume=True
    )
    assert Counting.count == 1


def test_features_of_any_length_are_alike_once_normalised(catalogue):
    data = catalogue(WIDTHS)
    scaled = data.clone()
    scaled["item"].x_visual = data["item"].x_visual * 40.0
    model = make(data, normalize_features=True)
    torch.testing.assert_close(model.encode(scaled)[1], model.encode(data)[1])
    f = model._encode_modalities(data, torch.tensor([3]))["visual"][0]
    x = data["item"].x_visual[3]
    linear = model.encoders["visual"]
    torch.testing.assert_close(f, linear.weight @ (x / x.norm()) + linear.bias)
    raw = make(data)
    raw.load_state_dict(model.state_dict())
    assert not torch.allclose(raw.encode(scaled)[1], raw.encode(data)[1])


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_maps_take_smaller_steps_than_the_tables(share):
    train, val, *_ = synthetic(seed=0, num_users=80, num_items=60)
    model = make(train, pretrain_epochs=0, map_lr_share=share)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    # One step: Adam's first moves every entry by its step size.
    trainer = Trainer(epochs=1, lr=1e-3, weight_decay=0, batch_size=10**6)
    trainer.fit(model, train, val)
    for name, p in model.named_parameters():
        if not name.startswith("decoders"):
            step = 1e-3 if name.startswith(("user", "item")) else 1e-3 * share
            moved = (p - before[name]).abs().max().item()
            assert moved == pytest.approx(step, rel=0.02), name


def test_tables_start_as_the_fidelity_says(catalogue):
    data = catalogue(WIDTHS)
    for fidelity, table_std in (("paper", (2 / (9 + 640)) ** 0.5), ("released", 1.0)):
        model = make(data, fidelity, embedding_dim=640)
        # 5 760 draws: the standard error of their deviation is 1 %.
        assert model.user.weight.std().item() == pytest.approx(table_std, rel=0.04)


def test_a_single_modality_is_refused(catalogue):
    with pytest.raises(UserError, match="needs 2 modalities or more"):
        make(catalogue({"visual": 6}))


def test_a_diverging_pretraining_is_named(catalogue):
    data = catalogue(WIDTHS)
    data["item"].x_visual[3, 2] = float("inf")
    with pytest.raises(UserError, match=r"pretraining, epoch 1: the loss is nan"):
        make(data, pretrain_epochs=1).pretrain(data, torch.Generator())
