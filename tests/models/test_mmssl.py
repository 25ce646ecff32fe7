from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmgraph.data import synthetic
from mmgraph.errors import UserError
from mmgraph.models import Batch, build_model
from mmgraph.train import Trainer, evaluate

WIDTHS = {"visual": 6, "textual": 4}
THREE = WIDTHS | {"acoustic": 3}
FIDELITIES = ["paper", "released"]
INTERACTS = ("user", "interacts", "item")
WEIGHT = {"contrast": 0.4, "adversarial": 0.7, "reg": 0.3, "feature_reg": 0.2}
#: Small enough for the loops below, and no weight so large that it hides another.
SMALL = {
    "embedding_dim": 6,
    "num_heads": 2,
    "num_neighbors": 3,
    "noise_scale": 0.5,
    "score_weight": 1.5,
}


def make(data, fidelity="paper", **options):
    options = SMALL | {f"{k}_weight": v for k, v in WEIGHT.items()} | options
    if fidelity == "paper":
        options.setdefault("critic_dim", 5)
    return build_model("MMSSL", data, fidelity=fidelity, **options)


# The equations, dense and in loops ----------------------------------------------


def unit(x):
    """Rows of length 1; zero rows stay, and have no gradient."""
    square = x.square().sum(dim=-1, keepdim=True)
    return torch.where(square > 0, x / square.where(square > 0, 1.0).sqrt(), 0.0 * x)


def by_root(matrix):
    """Each row over the root of the number of its entries."""
    return matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1).sqrt()


def softmax(x):
    return x.exp() / x.exp().sum(dim=1, keepdim=True)


class Reference:
    """Everything from the parameters and the draws of one step."""

    def __init__(self, model, data, dense, masks=None):
        self.model, self.data, self.dense = model, data, dense
        self.released = model.fidelity == "released"
        self.r = torch.zeros(9, data["item"].num_nodes)
        self.r[tuple(data[INTERACTS].edge_index)] = 1.0
        self.features = {}
        for n, (m, linear) in enumerate(model.project.items()):
            f = dense.linear(linear, data["item"][f"x_{m}"])
            f = f if masks is None else f * masks[n]
            u = by_root(self.r) @ f
            self.features[m] = u, by_root(self.r.T) @ u

    def generated(self, users=range(9)):
        """The graphs of the model, once they are those of the best unseen items.

        Items that only one user has are alike to all: any of them may be listed.
        """
        graphs = []
        for lists, (u, v) in zip(
            self.model.generated.lists, self.features.values(), strict=True
        ):
            graph = torch.zeros_like(self.r)
            for user, items in enumerate(lists.tolist()):
                if user not in users or not u[user].any():
                    assert items == [-1] * 3
                    continue
                scores = v @ u[user]
                assert not self.r[user, items].any()
                assert len(set(items)) == 3
                best = scores[self.r[user] == 0].sort(descending=True).values[:3]
                torch.testing.assert_close(scores[items], best, rtol=1e-12, atol=1e-14)
                graph[user, items] = 1.0
            graphs.append(graph)
        return graphs

    def mix(self, views):
        attend, out = self.model.attend, []
        for node in zip(*views, strict=True):
            total = 0.0
            for x in node:
                heads = []
                for part in (slice(0, 3), slice(3, 6)):
                    q = (attend.query.weight @ x)[part]
                    keys = [(attend.key.weight @ y)[part] for y in node]
                    power = [torch.exp((q * k).sum() / 3**0.5) for k in keys]
                    pairs = zip(power, node, strict=True)
                    head = sum(p / sum(power) * y for p, y in pairs)
                    heads.append(x if self.released else head)
                total = total + attend.combine.weight @ torch.cat(heads)
            out.append(total / len(node))
        return torch.stack(out)

    def embed(self, graphs):
        """The views by ID, the users' mean over the layers, and what is scored."""
        model = self.model
        e_u, e_i = model.user.weight, model.item.weight
        p = [by_root(g) @ e_i for g in graphs]
        q = [by_root(g.T) @ e_u for g in graphs]
        users = [e_u + 0.36 * unit(self.mix(p))]
        items = [e_i + 0.36 * unit(self.mix(q))]
        for layer in (1, 2):
            u = by_root(self.r) @ items[-1]
            u = softmax(u) if layer == 2 else u
            v = by_root(self.r.T) @ u
            users.append(u)
            items.append(softmax(v) if layer == 2 else v)
        mean = sum(users) / 3, sum(items) / 3
        z_user, z_item = mean
        for u, v in self.features.values():
            z_user, z_item = z_user + 0.55 * unit(u), z_item + 0.55 * unit(v)
        return p, mean[0], (z_user, z_item)

    def contrast(self, p, mean, users):
        total = 0.0
        for view in p:
            x, y = unit(view[users]), unit(mean[users])
            for b in range(len(users)):
                across = ((x[b] * y).sum(dim=1) / 0.5).exp()
                within = ((x[b] * x).sum(dim=1) / 0.5).exp()
                others = sum(w for c, w in enumerate(within) if c != b)
                total = total - (across[b] / (across.sum() + others)).log() / len(users)
        return total

    def rows(self, user, item, users):
        return unit((user[users] @ item.T) * (1 - self.r[users]))

    def real(self, z, users, noise):
        scores = self.rows(*z, users)
        return unit(softmax(self.r[users] + 0.5 * noise) + 1.5 * scores).detach()

    def fake(self, users):
        return torch.cat([self.rows(u, v, users) for u, v in self.features.values()])

    def judge(self, x, masks, parameters):
        """The critic on whole rows."""

        def gamma(h, norm, mask):
            h = h if self.released else torch.where(h > 0, h, 0.01 * h)
            mean = h.sum(dim=0) / len(h)
            var = ((h - mean) ** 2).sum(dim=0) / len(h)
            h = (h - mean) / (var + 1e-5).sqrt() * parameters[f"{norm}.weight"]
            return (h + parameters[f"{norm}.bias"]) * mask

        h = x @ parameters["table"] + parameters.get("bias", 0.0)
        h = gamma(h, "norm", masks[0]) @ parameters["second.weight"].T
        h = h + parameters.get("second.bias", 0.0)
        h = gamma(h, "second_norm", masks[1]) @ parameters["last.weight"].T
        return 100 / (1 + torch.exp(-(h[:, 0] + parameters["last.bias"])))

    def fitted(self, real, fake, draws):
        """The critic's parameters after a step of plain gradient descent."""
        named = dict(self.model.adversary.named_parameters())
        old = {k: p.detach().clone().requires_grad_() for k, p in named.items()}
        mixed = draws["share"] * real + (1 - draws["share"]) * fake.detach()
        mixed.requires_grad_()
        score = self.judge(mixed, draws["mixed"], old).sum()
        (gradient,) = torch.autograd.grad(score, mixed, create_graph=True)
        length = gradient.square().sum(dim=1).sqrt()
        loss = (
            self.judge(fake.detach(), draws["fake"], old).mean()
            - self.judge(real, draws["real"], old).mean()
            + 0.3 * ((length - 1) ** 2).mean()
        )
        grads = torch.autograd.grad(loss, list(old.values()))
        return {
            k: (p - 1e-5 * g).detach()
            for (k, p), g in zip(old.items(), grads, strict=True)
        }


def draws_of_a_step(model, num_users, seed):
    """Masks of the features, noise, and masks and shares of the critic, as drawn."""
    torch.manual_seed(seed)
    count, items = len(model.dims), model.item.num_embeddings
    draws = {"features": [F.dropout(torch.ones(items, 6), 0.2) for _ in range(count)]}
    if model.adversary is None:
        return draws
    draws["noise"] = -torch.rand(num_users, items).log().neg().log()
    widths = model.adversary.table.size(1), model.adversary.second.out_features
    for part in ("fake", "real", "share", "mixed", "generator"):
        if part == "share":
            draws[part] = torch.rand(count * num_users, 1)
            continue
        draws[part] = [
            F.dropout(torch.ones(count * num_users, width), rate)
            for width, rate in zip(widths, (0.31, 0.5), strict=True)
        ]
    return draws


def step(model, data, batch, seed=5):
    torch.manual_seed(seed)
    return model.loss(data, batch)


@pytest.mark.parametrize("critic", [True, False])
@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("widths", [WIDTHS, THREE, {"textual": 4}])
def test_losses_and_gradients_equal_a_dense_reference(
    catalogue,
    batch,
    agree,
    dense,
    randomise,
    first_epoch,
    fidelity,
    widths,
    critic,
):
    off = {} if critic else {"adversarial_weight": 0.0}
    train = catalogue(widths)
    model = randomise(make(train, fidelity, **off))
    data = first_epoch(model, train)
    if critic:
        # Adam would blow up the rounding errors of gradients that are zero.
        parameters = model.adversary.parameters()
        model.adversary._optimizer = torch.optim.SGD(parameters, lr=1e-5)
    users = batch.user.unique()
    draws = draws_of_a_step(model, len(users), seed=5)
    still = Reference(model, data, dense)
    reference = Reference(model, data, dense, draws["features"])
    graphs = [reference.r] * len(widths)  # of the first batch in the public code
    if fidelity == "paper":
        graphs = still.generated()
    p, mean, z = reference.embed(graphs)
    rows = torch.cat([z[0][batch.user], z[1][batch.pos_item], z[1][batch.neg_item]])
    tables = torch.cat([x for pair in reference.features.values() for x in pair])
    size = 1024 if fidelity == "released" else 11
    expected = {
        "bpr": dense.bpr(*z, batch),
        "reg": 0.3 * (rows**2).sum() / 2 / size,
        "features": 0.2 * (tables**2).sum() / 2 / 14,
        "contrast": 0.4 * reference.contrast(p, mean, users),
    }
    if critic:
        real = reference.real(z, users, draws["noise"])
        fake = reference.fake(users)
        repeated = torch.cat([real] * len(widths))
        fitted = reference.fitted(repeated, fake, draws)
        judged = reference.judge(fake, draws["generator"], fitted)
        expected["adversarial"] = -0.7 * judged.mean()
    terms = step(model, data, batch)
    if critic:
        for name, parameter in model.adversary.named_parameters():
            torch.testing.assert_close(
                parameter.detach(), fitted[name], rtol=1e-8, atol=1e-12
            )
    agree(model, terms, expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_scores_equal_the_written_out_equation(
    catalogue, dense, randomise, first_epoch, fidelity
):
    train = catalogue(THREE)
    model = randomise(make(train, fidelity)).eval()
    reference = Reference(model, train, dense)

    def check(graphs):
        *_, expected = reference.embed(graphs)
        for a, b in zip(model.encode(model.prepare(train)), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)

    check([reference.r] * 3)
    first_epoch(model, train)
    model.eval()
    # In the public code graphs change between batches, not between epochs.
    check(reference.generated() if fidelity == "paper" else [reference.r] * 3)


def test_released_graphs_are_those_of_the_last_batches(
    catalogue, dense, randomise, first_epoch
):
    train = catalogue(WIDTHS)
    model = randomise(make(train, "released", refresh_batches=2, dropout=0.0))
    data = first_epoch(model, train)
    reference = Reference(model, data, dense)
    batches = [[0, 1], [2], [3], [4, 5], [6]]
    # Before the loss of the third batch and of the fifth the graph is replaced.
    known = [None, None, {0, 1, 2}, {0, 1, 2}, {4, 5}]
    for users, seen in zip(batches, known, strict=True):
        item = torch.zeros(len(users), dtype=torch.long)
        model.loss(data, Batch(torch.tensor(users), item, item + 1))
        graphs = [reference.r] * 2 if seen is None else reference.generated(seen)
        *_, expected = reference.embed(graphs)
        for a, b in zip(model.encode(data), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_published_settings_leave_the_released_graphs_empty(
    catalogue, batch, randomise, first_epoch
):
    train = catalogue(WIDTHS)
    model = randomise(make(train, "released", num_neighbors=None))
    data = first_epoch(model, train)
    assert step(model, data, batch)["contrast"].requires_grad
    contrast = step(model, data, batch)["contrast"]
    users = batch.user.unique().numel()
    # Nothing is similar to an empty row: every other row is a fair candidate.
    expected = 0.4 * 2 * torch.tensor(2.0 * users - 1).log()
    torch.testing.assert_close(contrast.detach(), expected)
    grads = torch.autograd.grad(contrast, model.main_parameters(), allow_unused=True)
    assert not any(g is not None and g.any() for g in grads)


def test_a_task_of_weight_zero_has_no_term_and_no_parameter(
    catalogue, batch, first_epoch
):
    train = catalogue(WIDTHS)
    off = {"contrast_weight": 0.0, "adversarial_weight": 0.0}
    for fidelity in FIDELITIES:
        model = make(train, fidelity, **off)
        assert not model.auxiliary_parameters()
        assert not model.auxiliary_optimizers()
        assert not [n for n, _ in model.named_parameters() if "adversary" in n]
        data = first_epoch(model, train)
        assert set(model.loss(data, batch)) == {"bpr", "reg", "features"}


def test_the_critic_has_an_optimiser_of_its_own_and_rests_in_evaluation(
    catalogue, batch, first_epoch
):
    train = catalogue(WIDTHS)
    model = make(train)
    critic = list(model.adversary.parameters())
    assert model.auxiliary_parameters() == critic
    assert not {id(p) for p in critic} & {id(p) for p in model.main_parameters()}
    assert model.auxiliary_optimizers() == {"critic": model.adversary.optimizer}
    data = first_epoch(model, train)
    model.eval()
    before = [p.detach().clone() for p in critic]
    model.loss(data, batch)
    assert all(torch.equal(a, b) for a, b in zip(before, critic, strict=True))


def test_the_critic_grows_with_the_items_and_in_the_public_code_with_their_square(
    catalogue,
):
    for num_items in (40, 80):
        train = catalogue(WIDTHS, num_items=num_items)
        paper = make(train, critic_dim=None).adversary.table
        released = make(train, "released").adversary.table
        assert paper.shape == (num_items, 64)
        assert released.shape == (num_items, num_items // 4)


def test_a_batch_of_one_user_has_finite_gradients(catalogue, first_epoch):
    train = catalogue({"visual": 6})
    model = make(train)
    data = first_epoch(model, train)
    one = torch.zeros(1, dtype=torch.long)
    sum(model.loss(data, Batch(one, one, one + 1)).values()).backward()
    grads = [p.grad for p in model.main_parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_a_resumed_run_ends_as_one_that_never_stopped(fidelity, tmp_path):
    train, val, test, _ = synthetic(seed=2, num_users=80, num_items=60)
    found = []
    for stops in ([3], [1, 3]):
        folder = tmp_path / str(len(stops))
        for epochs in stops:
            torch.manual_seed(epochs == stops[0])
            model = build_model("MMSSL", train, fidelity=fidelity, refresh_batches=2)
            trainer = Trainer(epochs=epochs, device="cpu", batch_size=256)
            trainer.fit(model, train, val, checkpoint_dir=folder, resume=True)
        found.append(evaluate(model, test, per_user=True)["ndcg@20"].tolist())
    assert found[0] == found[1]


def test_weight_decay_shrinks_the_parameters_and_not_the_gradients(monkeypatch):
    train, val, *_ = synthetic(seed=2, num_users=80, num_items=60)
    model = build_model("MMSSL", train)
    start = model.user.weight.detach().clone()
    monkeypatch.setattr(
        model,
        "training_loss",
        lambda *_: {"bpr": 0.0 * model.user.weight.sum()},
    )
    trainer = Trainer(epochs=1, lr=0.1, weight_decay=0.5, batch_size=10**6)
    trainer.fit(model, train, val)
    # A gradient of zeros moves nothing; coupled decay would move every entry by lr.
    torch.testing.assert_close(model.user.weight.detach(), (1 - 0.1 * 0.5) * start)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dropout": 1.0}, r"'dropout' must lie in \[0, 1\) \(got 1.0\)"),
        ({"noise_scale": 0.0}, r"'noise_scale' must be above 0 \(got 0.0\)"),
        ({"contrast_temperature": 0.0}, r"temperature' must be above 0 \(got 0.0\)"),
        ({"num_layers": -1}, r"'num_layers' must not be negative \(got -1\)"),
        ({"num_neighbors": -1}, r"num_neighbors must be at least 0 \(got -1\)"),
        ({"refresh_batches": 0}, r"'refresh_batches' must be at least 1 \(got 0\)"),
        ({"num_heads": 4}, r"'num_heads' must divide the dimension 6 \(got 4\)"),
        ({"adversarial_weight": -1.0}, r"adversarial_weight must be at least 0"),
        ({"critic_dim": 0}, r"critic_dim must be at least 1 \(got 0\)"),
    ],
)
def test_options_out_of_range_are_refused(catalogue, option, message):
    with pytest.raises(UserError, match=message):
        make(catalogue(WIDTHS), **option)
