from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.data import synthetic
from mmgraph.models import build_model
from mmgraph.train import Trainer, evaluate

WIDTHS = {"visual": 6, "textual": 4}
THREE = WIDTHS | {"acoustic": 3}
FIDELITIES = ["paper", "released"]
INTERACTS = ("user", "interacts", "item")
WEIGHT = {"reg": 0.3, "moment": 0.2, "mask": 1.5, "perturb": 0.7}
T = 0.4


def make(data, fidelity="paper", **options):
    options = {
        "embedding_dim": 5,
        "hidden_dim": 7,
        "k": 3,
        "contrast_temperature": T,
        **{f"{name}_weight": weight for name, weight in WEIGHT.items()},
    } | options
    return build_model("MENTOR", data, fidelity=fidelity, **options)


# The equations, dense and in loops ----------------------------------------------


def mlp(encoder, x, dense):
    return dense.linear(encoder.second, dense.leaky(dense.linear(encoder.first, x)))


def tower(preference, items, matrix, dense, noises=(None, None)):
    """Users over items after two steps, each followed by its noise."""
    layer = dense.unit_rows(torch.cat([preference, items]))
    total = layer
    for noise in noises:
        layer = matrix @ layer
        if noise is not None:
            sign = (layer.detach() > 0).double() - (layer.detach() < 0).double()
            layer = layer + 0.1 * sign * dense.unit_rows(noise)
        total = total + layer
    return total


class Reference:
    """Everything from the parameters and the draws of one step."""

    def __init__(self, model, data, dense):
        self.model, self.data, self.dense = model, data, dense
        self.matrix = dense.user_item(data[INTERACTS].edge_index, 9, 14)
        self.items = torch.eye(14) + dense.item_graph(data)

    def towers(self, encoders, propagate, noises=None):
        out = {}
        for m, encoder in encoders.items():
            f = mlp(encoder, self.data["item"][f"x_{m}"], self.dense)
            noise = (None, None) if noises is None else noises[m]
            table = propagate.preference[m]
            out[m] = tower(table, f, self.matrix, self.dense, noise)
        return out

    def fuse(self, h):
        weight = self.model.gcn.fuse_users.weight
        users = [weight[:, m] * x[:9] for m, x in enumerate(h.values())]
        items = [x[9:] for x in h.values()]
        return torch.cat(users, dim=1), self.items @ torch.cat(items, dim=1)

    def fused(self):
        return self.fuse(self.towers(self.model.encoders, self.model.gcn.propagate))

    def moments(self):
        h = self.towers(self.model.encoders, self.model.gcn.propagate)
        ids = mlp(self.model.item_encoder["id"], self.model.item.weight, self.dense)
        table = self.model.propagate_item.preference["id"]
        guide = tower(table, ids, self.matrix, self.dense)
        views = [torch.cat(self.fuse(h))]
        for x in (guide, *h.values()):
            wide = torch.cat([x] * len(h), dim=1)
            views.append(torch.cat([wide[:9], self.items @ wide[9:]]))
        numbers = []
        for view in views:
            mean = view.sum() / view.numel()
            var = ((view - mean) ** 2).sum() / (view.numel() - 1)
            numbers.append((mean, var))
        pairs = list(combinations(numbers, 2))
        if len(h) == 2:
            assert len(pairs) == 6
        return sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairs)

    def mask(self, masks):
        total = 0.0
        for z, mask in zip(self.fused(), masks, strict=True):
            if self.model.fidelity == "released":
                z = z.detach()
            q = z @ self.model.predict.weight.T + self.model.predict.bias
            for x, y in zip(q, z.detach() * mask, strict=True):
                # A row of which nothing is left has no angle to anything.
                norms = ((x * x).sum() * (y * y).sum()).sqrt()
                cosine = (x * y).sum() / norms if mask.any() and y.any() else 0.0
                total = total + (1 - cosine) / len(z)
        return total

    def perturb(self, noises):
        model = self.model
        if model.fidelity == "released":
            sources = [
                (model.other_encoders[view], model.other_towers[view])
                for view in ("first", "second")
            ]
        else:
            sources = [(model.encoders, model.gcn.propagate)] * 2
        first, second = (
            self.fuse(self.towers(*source, noise))
            for source, noise in zip(sources, noises, strict=True)
        )
        total = 0.0
        for x, y in zip(first, second, strict=True):
            x, y = self.dense.unit_rows(x), self.dense.unit_rows(y)
            for i in range(len(x)):
                likelihood = ((x[i] * y).sum(dim=1) / T).exp()
                total = total - (likelihood[i] / likelihood.sum()).log() / len(x)
        return total

    def reg(self, batch):
        tables = self.model.gcn.propagate.preference.values()
        rows = [table[batch.user] for table in tables]
        return sum((x**2).mean() for x in [*rows, self.model.gcn.fuse_users.weight])


def draws_of_a_step(names, seed):
    """The masks of users and items, and the noises of two views, as they are drawn."""
    torch.manual_seed(seed)
    width = 5 * len(names)
    masks = [F.dropout(torch.ones(size, width), 0.5) for size in (9, 14)]
    noises = [
        {m: [torch.rand(23, 5) for _ in range(2)] for m in names} for _ in range(2)
    ]
    return masks, noises


def step(model, data, batch, seed=5):
    torch.manual_seed(seed)
    return model.loss(data, batch)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("widths", [WIDTHS, THREE, {"textual": 4}])
def test_losses_and_gradients_equal_a_dense_reference(
    catalogue, batch, agree, dense, randomise, first_epoch, fidelity, widths
):
    train = catalogue(widths)
    model = randomise(make(train, fidelity))
    data = first_epoch(model, train)
    terms = step(model, data, batch)
    reference = Reference(model, data, dense)
    masks, noises = draws_of_a_step(list(widths), seed=5)
    bpr = dense.bpr(*reference.fused(), batch)
    if fidelity == "released":
        bpr = bpr / math.log(2)
    expected = {
        "bpr": bpr,
        "reg": WEIGHT["reg"] * reference.reg(batch),
        "moments": WEIGHT["moment"] * reference.moments(),
        "perturb": WEIGHT["perturb"] * reference.perturb(noises),
    }
    mask = WEIGHT["mask"] * reference.mask(masks)
    torch.testing.assert_close(terms["mask"], mask, rtol=1e-8, atol=1e-12)
    if fidelity == "released":
        assert not terms.pop("mask").requires_grad
    else:
        expected["mask"] = mask
    agree(model, terms, expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_scores_equal_the_written_out_equation(catalogue, dense, randomise, fidelity):
    train = catalogue(THREE)
    model = randomise(make(train, fidelity)).eval()
    data = model.add_graphs(train)
    mine, expected = model.encode(data), Reference(model, data, dense).fused()
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def reached(model, term):
    grads = torch.autograd.grad(
        term,
        model.main_parameters(),
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    return {name for name, grad in zip(names, grads, strict=True) if grad.any()}


def test_perturbation_reaches_the_released_model_through_the_user_weights_alone(
    catalogue, batch, randomise, first_epoch
):
    train = catalogue(WIDTHS)
    model = randomise(make(train, "released"))
    data = first_epoch(model, train)
    found = reached(model, step(model, data, batch)["perturb"])
    own = {n for n in found if not n.startswith("other_")}
    assert own == {"gcn.fuse_users.weight"}
    assert {n for n, _ in model.named_parameters() if n.startswith("other_")} <= found


def test_in_the_paper_every_task_trains_the_encoders(
    catalogue, batch, randomise, first_epoch
):
    train = catalogue(WIDTHS)
    model = randomise(make(train))
    assert not [n for n, _ in model.named_parameters() if n.startswith("other_")]
    data = first_epoch(model, train)
    terms = step(model, data, batch)
    shared = {n for n, _ in model.encoders.named_parameters(prefix="encoders")}
    propagate = model.gcn.propagate.named_parameters(prefix="gcn.propagate")
    shared |= {n for n, _ in propagate}
    for name in ("bpr", "moments", "mask", "perturb"):
        assert shared <= reached(model, terms[name]), name


def test_released_scores_are_those_of_the_last_step(
    catalogue, batch, dense, randomise, first_epoch
):
    train = catalogue(WIDTHS)
    model = randomise(make(train, "released"))
    data = first_epoch(model, train)
    before = [x.detach() for x in Reference(model, data, dense).fused()]
    step(model, data, batch)
    randomise(model)
    model.eval()
    for mine, expected in zip(model.encode(data), before, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12)


def test_a_task_of_weight_zero_has_no_term_and_no_parameter(
    catalogue, batch, first_epoch
):
    train = catalogue(WIDTHS)
    off = {"moment_weight": 0.0, "mask_weight": 0.0, "perturb_weight": 0.0}
    for fidelity in FIDELITIES:
        model = make(train, fidelity, **off)
        data = first_epoch(model, train)
        assert set(model.loss(data, batch)) == {"bpr", "reg"}
        parts = {name.partition(".")[0] for name, _ in model.named_parameters()}
        assert parts == {"encoders", "gcn"}


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_two_equal_runs_end_alike(fidelity):
    train, val, test, _ = synthetic(seed=2, num_users=80, num_items=60)
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        model = make(train, fidelity)
        Trainer(epochs=2, device="cpu").fit(model, train, val)
        found.append(evaluate(model, test))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"mask_rate": 1.0}, "'mask_rate' must be in"),
        ({"contrast_temperature": 0}, "above 0"),
    ],
)
def test_options_out_of_range_are_refused(catalogue, option, message):
    with pytest.raises(ValueError, match=message):
        make(catalogue(WIDTHS), **option)
