from __future__ import annotations

from functools import partial

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model
from mmgraph.models.plugins.sea import SEAPlugin
from mmgraph.models.sea import SEA
from mmgraph.nn.losses import SeparateLearningLoss
from mmgraph.options import declared_options

WIDTHS = {"visual": 8, "textual": 6}
HOSTS = ["VBPR", "FREEDOM"]
SIMILAR = ("item", "similar", "item")


def make(host, data, plugin=None, **options):
    torch.manual_seed(4)
    options = {"embedding_dim": 6, "reg_weight": 0.3} | options
    if host == "FREEDOM":
        options = {"k": 3, "edge_drop": 0.5} | options
    return build_model(host, data, plugin=plugin, **options)


def backward(terms):
    torch.stack(list(terms.values())).sum().backward()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("distance", ["mim", "neg_l2"])
def test_sea_adds_the_losses_of_the_hosts_embeddings(
    catalogue, batch, dense, agree, randomise, first_epoch, host, distance
):
    data = catalogue(WIDTHS)
    options = {"align_weight": 0.4, "distance_weight": 0.2, "temperature": 0.5}
    model = randomise(
        make(host, data, "sea", distance=distance, club_inner_steps=0, **options)
    )
    data = first_epoch(model, data)
    terms = model.training_loss(data, batch)
    z = {}
    for m, layer in model.project.items():
        z[m] = dense.linear(layer, data["item"][f"x_{m}"])
    generic = {m: x[:, :3] for m, x in z.items()}
    unique = {m: x[:, 3:] for m, x in z.items()}
    heads = model.plugin.separate.heads
    anchor, candidate = (heads[m](generic[m]) for m in ("textual", "visual"))
    logits = (anchor @ candidate.T / 0.5).exp()
    align = -(logits.diagonal() / logits.sum(dim=1)).log().mean()
    expected = {"align": 0.4 * align}
    if distance == "neg_l2":
        squares = [((generic[m] - unique[m]) ** 2).sum() / (14 * 3) for m in z]
        expected["distance"] = -0.2 * sum(squares) / 2
    # (The bound's value is that of the loss's own tests; here: halves without maps.)
    agree(model, {k: terms[k] for k in expected}, expected)
    assert not model.plugin.separate.maps_generic
    bare = make(host, data)
    bare.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("plugin.")}
    )
    first_epoch(bare, data)
    assert all(
        torch.equal(value, terms[name])
        for name, value in bare.training_loss(data, batch).items()
    )


@pytest.mark.parametrize("host", HOSTS)
def test_losses_of_the_batch_are_those_of_its_items_alone(
    catalogue, batch, randomise, first_epoch, host
):
    data = catalogue(WIDTHS)
    options = {"club_inner_steps": 0, "align_weight": 0.4, "distance": "neg_l2"}
    model = randomise(make(host, data, "sea", candidates="batch", **options))
    data = first_epoch(model, data)
    terms = model.training_loss(data, batch)
    items = sorted({*batch.pos_item.tolist(), *batch.neg_item.tolist()})
    z = model._encode_modalities(data)
    expected = model.plugin.separate({m: x[items] for m, x in z.items()})
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-12)
    one = batch._replace(pos_item=batch.pos_item[:1], neg_item=batch.pos_item[:1])
    model.plugin.candidates = "all"
    encode = partial(model._encode_modalities, data)
    everything = model.plugin.losses(encode, data, one)
    model.plugin.candidates = "batch"
    alone = model.plugin.losses(encode, data, one)  # a single item has no other
    assert all(torch.equal(alone[name], everything[name]) for name in everything)
    model.plugin.candidates = "all"
    assert abs(model.training_loss(data, batch)["align"] - terms["align"]) > 1e-3
    with pytest.raises(ValueError, match=r"'candidates' must be one of .*got 'some'"):
        make(host, catalogue(WIDTHS), "sea", candidates="some")


def test_the_authors_vbpr_scores_by_the_aligned_heads(catalogue, batch, randomise):
    """Item vector ``[id || head || head]``: the unique halves reach no score."""
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "sea", fidelity="released", score_heads=True)
    model = randomise(model).eval()
    heads = []
    for m, layer in model.project.items():
        generic = (data["item"][f"x_{m}"] @ layer.weight.T)[:, :3]
        heads.append(model.plugin.separate.heads[m](generic))
        assert heads[-1].shape == (14, 3)
        torch.testing.assert_close(heads[-1].norm(dim=1), torch.ones(14))
    _, item = model.encode(data)
    expected = torch.cat([model.item.weight, *heads], dim=1)
    expected[:, 6:] += model.bias
    torch.testing.assert_close(item, expected, rtol=1e-12, atol=1e-12)
    rows = torch.tensor([5, 2])
    torch.testing.assert_close(model.encode_items(data, rows), item[rows])

    plain = make("VBPR", data, "sea", fidelity="released")
    assert plain.plugin.separate.heads["visual"](torch.ones(2, 3)).shape == (2, 32)
    model.train().zero_grad()
    ranking = model.loss(data, batch)["bpr"]
    ranking.backward()
    for m, layer in model.project.items():
        assert layer.weight.grad[:3].any()
        assert not layer.weight.grad[3:].any()
        assert model.plugin.separate.heads[m].first.weight.grad.any()


@pytest.mark.parametrize(
    ("widths", "options", "complaint"),
    [
        ({"visual": 8}, {}, r"needs the heads of the alignment.*\['visual'\]"),
        ({"visual": 8, "textual": 8}, {"align": None}, "needs the heads.*None"),
        ({"visual": 8, "textual": 6}, {}, "needs modalities of one dimension"),
    ],
)
def test_heads_that_cannot_be_scored_are_refused(widths, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        SEAPlugin(widths, score_heads=True, **options)


@pytest.mark.parametrize(("width", "maps"), [(128, 0), (130, 2)])
def test_sea_maps_halves_only_when_they_are_wider_than_64(width, maps):
    plugin = SEAPlugin({"visual": width, "textual": 128})
    assert len(plugin.separate.maps_generic) == maps


def test_sea_on_freedom_reaches_the_ranking_within_two_steps(
    catalogue, batch, first_epoch
):
    """Through the feature maps that the ranking loss and the SEA losses share."""
    data = catalogue(WIDTHS)
    users = {}
    for plugin in (None, "sea"):
        model = make("FREEDOM", data, plugin, reg_weight=0.3)
        prepared = first_epoch(model, data)
        optimizer = torch.optim.SGD(model.main_parameters(), lr=0.5)
        for step in (1, 2):
            optimizer.zero_grad()
            torch.manual_seed(0)
            backward(model.training_loss(prepared, batch))
            optimizer.step()
            users[plugin, step] = model.user.weight.detach().clone()
    assert torch.equal(users[None, 1], users["sea", 1])
    assert not torch.equal(users[None, 2], users["sea", 2])


@pytest.mark.parametrize("plugin", ["clear", "sea"])
def test_a_plugin_that_could_change_nothing_is_refused(catalogue, plugin):
    """Without the feature terms FREEDOM's encoders never meet the ranking."""
    with pytest.raises(UserError, match="could change nothing - give the weight"):
        make("FREEDOM", catalogue(WIDTHS), plugin, reg_weight=0.0)


def test_clear_in_the_graph_needs_a_graph(catalogue):
    with pytest.raises(UserError, match="VBPR has no item graph for the plug-in"):
        make("VBPR", catalogue(WIDTHS), "clear", rank=2, where="graph")


def test_seas_estimator_moves_by_its_own_optimiser_only(catalogue, batch):
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "sea", club_inner_steps=2)
    own = model.all_auxiliary_parameters()
    assert {id(p) for p in own} == {
        id(p) for p in model.plugin.separate.club.parameters()
    }
    before = [p.detach().clone() for p in own]
    backward(model.training_loss(data, batch))
    fitted = [p.detach().clone() for p in own]
    assert not any(map(torch.equal, before, fitted))
    torch.optim.SGD(model.main_parameters(), lr=0.5).step()
    assert all(map(torch.equal, own, fitted))


def test_seas_estimator_rests_in_evaluation(catalogue, batch):
    data = catalogue(WIDTHS)
    model = make("VBPR", data, "sea", club_inner_steps=2).eval()
    before = [p.detach().clone() for p in model.all_auxiliary_parameters()]
    model.training_loss(data, batch)
    assert all(map(torch.equal, model.all_auxiliary_parameters(), before))


#: Options of SEA that are not those of its losses.
OF_THE_SYSTEM = {
    *("variant", "split_at", "encoder_dim", "embedding_dim", "hidden_dim"),
    *("num_layers", "num_item_layers", "k", "visual_weight", "modality_weights"),
    *("user_weights", "fidelity"),
}


def test_the_plugin_has_all_options_of_seas_losses():
    of_plugin, of_sea = (declared_options(c) for c in (SEAPlugin, SEA))
    of_losses = declared_options(SeparateLearningLoss)
    assert {*of_sea} - OF_THE_SYSTEM <= {*of_plugin}
    own = {"candidates", "score_heads"}
    for name in {*of_plugin} - own:
        assert of_plugin[name].default == of_losses[name].default, name
    fidelity_decides = {name for name, o in of_sea.items() if o.default is None}
    for name in {*of_sea} - OF_THE_SYSTEM - own - fidelity_decides:
        assert of_sea[name].default == of_losses[name].default, name


def test_options_of_the_estimator_reach_the_losses():
    options = {
        "club_fit": "closed-form",
        "club_inner_steps": 4,
        "club_lr": 0.5,
        "club_rows": 6,
        "club_order": "fit-first",
        "club_standardize": False,
        "club_pairs": "released",
    }
    separate = SEAPlugin({"visual": 8, "textual": 8}, **options).separate
    assert {name: getattr(separate, name) for name in options} == options
    plugin = SEAPlugin({"visual": 8}, distance="neg_l2", normalize_distance=True)
    assert plugin.separate.distancing.normalize
