from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4}
FIDELITIES = ["paper", "released"]


def make(data, fidelity="paper", **options):
    known = {"embedding_dim": 5, "hidden_dim": 3, "map_above": 5, "reg_weight": 0.3}
    return build_model("MMGCN", data, fidelity=fidelity, **(known | options))


def mean_matrix(data):
    """``D^-1 A`` of the stacked graph, one edge at a time."""
    matrix = torch.zeros(23, 23)
    for u, i in data["user", "interacts", "item"].edge_index.T.tolist():
        matrix[u, 9 + i] = matrix[9 + i, u] = 1.0
    return matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1.0)


def reference(model, data, dense, combine):
    matrix, out = mean_matrix(data), []
    for m, convs in model.convs.items():
        x = data["item"][f"x_{m}"]
        if m in model.project:
            x = dense.linear(model.project[m], x)
        x = dense.unit_rows(torch.cat([model.preference(m), x]))
        for conv in convs:
            # The public code maps first and averages afterwards.
            h = dense.leaky(matrix @ dense.linear(conv.lin_neighbors, x))
            own = dense.leaky(dense.linear(conv.lin_self, x)) + model.shared
            if combine == "concat":
                x = dense.leaky(dense.linear(conv.lin_out, torch.cat([h, own], 1)))
            else:
                x = dense.leaky(dense.linear(conv.lin_out, h) + own)
        out.append(x)
    z = sum(out) / (len(out) if model.fidelity == "released" else 1)
    return z[:9], z[9:]


@pytest.mark.parametrize("combine", [None, "concat", "sum"])
@pytest.mark.parametrize("widths", [{"textual": 4}, WIDTHS, WIDTHS | {"sound": 7}])
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_loss_and_gradients_equal_a_dense_reference(
    catalogue, batch, dense, agree, randomise, first_epoch, fidelity, widths, combine
):
    data = catalogue(widths)
    model = randomise(make(data, fidelity, combine=combine))
    data = first_epoch(model, data)
    default = "concat" if fidelity == "released" else "sum"
    z = reference(model, data, dense, combine or default)
    expected = {"bpr": dense.bpr(*z, batch)}
    if fidelity == "paper":
        total, pairs = 0.0, 0
        for u, i, j in zip(*(part.tolist() for part in batch), strict=True):
            for item in (i, j):
                squares = model.shared[u] ** 2 + model.shared[9 + item] ** 2
                total, pairs = total + squares.sum() / 5, pairs + 1
        tables = sum((model.preference(m) ** 2).mean() for m in widths)
        expected["reg"] = 0.3 * (total / pairs + tables)
    agree(model, model.loss(data, batch), expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_tables_are_parameters_in_paper_and_buffers_in_released(catalogue, fidelity):
    model = make(catalogue(WIDTHS), fidelity)
    tables = {"preference_visual", "preference_textual", "shared"}
    learned = dict(model.named_parameters()).keys()
    frozen = dict(model.named_buffers()).keys()
    assert tables <= (learned if fidelity == "paper" else frozen)
    assert not tables & (frozen if fidelity == "paper" else learned)
    assert tables <= model.state_dict().keys()


def test_released_tables_stay_at_their_start(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data, "released", reg_weight=100.0)
    data = first_epoch(model, data)
    before = {k: v.clone() for k, v in model.named_buffers()}
    optimizer = torch.optim.Adam(model.main_parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        terms = model.loss(data, batch)
        assert list(terms) == ["bpr"]
        optimizer.zero_grad()
        terms["bpr"].backward()
        optimizer.step()
    for key in ("preference_visual", "preference_textual", "shared"):
        assert torch.equal(model.get_buffer(key), before[key])


def test_what_is_constant_is_averaged_once(catalogue, first_epoch):
    data = catalogue(WIDTHS)
    released, paper = make(data, "released"), make(data)
    for model, kept in ((released, set(WIDTHS)), (paper, set())):
        prepared = first_epoch(model, data)
        first = {m: model.first_users(prepared, m) for m in WIDTHS}
        again = {m: model.first_users(prepared, m) for m in WIDTHS}
        assert {m for m in WIDTHS if first[m][1] is again[m][1]} == kept


def test_a_kept_average_follows_a_loaded_table(catalogue, dense, first_epoch):
    data = catalogue(WIDTHS)
    model, other = make(data, "released"), make(data, "released")
    data = first_epoch(model, data)
    model.encode(data)
    model.load_state_dict(other.state_dict())
    expected = reference(other, data, dense, "concat")
    for mine, z in zip(model.encode(data), expected, strict=True):
        torch.testing.assert_close(mine, z, rtol=1e-10, atol=1e-12)


def test_a_plugin_sees_raw_features_too(catalogue, dense, first_epoch):
    data = catalogue(WIDTHS)
    options = {"plugin": "clear", "rank": 1, "strength": 1.0, "num_layers": 1}
    model = make(data, "released", **options)
    data = first_epoch(model, data)
    raw = model._encode_modalities(data)
    seen = model.encode_modalities(data)
    assert torch.equal(raw["textual"], data["item"].x_textual)
    assert not torch.allclose(seen["textual"], raw["textual"])
    layer = model.all_but_last_layer(data)["textual"]
    expected = dense.unit_rows(seen["textual"])
    torch.testing.assert_close(layer.x_item, expected, rtol=1e-10, atol=1e-12)


def test_released_scores_are_those_of_the_last_training_step(
    catalogue, batch, randomise, first_epoch
):
    data = catalogue(WIDTHS)
    model = randomise(make(data, "released"))
    data = first_epoch(model, data)
    optimizer = torch.optim.SGD(model.main_parameters(), lr=0.1)
    before = [z.detach().clone() for z in model.encode(data)]
    model.loss(data, batch)["bpr"].backward()
    optimizer.step()
    after = model.encode(data)
    model.eval()
    for got, old, new in zip(model.encode(data), before, after, strict=True):
        assert torch.equal(got, old)
        assert not torch.equal(got, new)


@pytest.mark.parametrize(
    ("map_above", "mapped"), [(0, {"visual", "textual"}), (4, {"visual"}), (6, set())]
)
def test_only_wide_features_are_mapped(catalogue, map_above, mapped):
    data = catalogue(WIDTHS)
    model = make(data, map_above=map_above)
    widths = {m: 3 if m in mapped else WIDTHS[m] for m in WIDTHS}
    assert set(model.project) == mapped
    assert model.modality_dims() == widths
    assert {m: z.size(1) for m, z in model._encode_modalities(data).items()} == widths
    assert {m: model.preference(m).size(1) for m in WIDTHS} == widths


def test_gathered_rows_equal_the_full_projection(catalogue, randomise):
    data = catalogue(WIDTHS)
    model = randomise(make(data))
    whole, rows = model._encode_modalities(data), torch.tensor([3, 3, 0])
    for m, part in model._encode_modalities(data, rows).items():
        torch.testing.assert_close(part, whole[m][rows], rtol=1e-12, atol=1e-14)


def test_a_plugin_with_nothing_to_train_is_refused(catalogue):
    data = catalogue(WIDTHS)
    with pytest.raises(UserError, match="could train nothing - set map_above=0"):
        make(data, map_above=6, plugin="sea")
    make(data, map_above=0, plugin="sea")
    make(data, map_above=6, plugin="clear", rank=1)


def test_no_layer_is_refused(catalogue):
    with pytest.raises(ValueError, match=r"'num_layers' must be at least 1 \(got 0\)"):
        make(catalogue(WIDTHS), num_layers=0)


def test_starts_are_xavier_normal(catalogue):
    data = catalogue({"visual": 300}, num_items=700)
    model = make(data, embedding_dim=64, map_above=400)
    last = model.convs["visual"]
    for weight, rel in (
        (model.shared, 0.017),  # 45 376 draws: standard error 0.33 %
        (model.preference("visual"), 0.07),  # 2 700 draws: 1.4 %
        (last[0].lin_out.weight, 0.026),  # 19 200 draws: 0.51 %
    ):
        expected = (2 / sum(weight.shape)) ** 0.5
        assert weight.std().item() == pytest.approx(expected, rel=rel)
    assert last[1].lin_out.weight.abs().max().item() <= 64**-0.5
