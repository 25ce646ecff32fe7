from __future__ import annotations

import pytest
import torch

from mmgraph.models import build_model


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_loss_and_gradients_equal_a_loop_over_triples(
    catalogue, batch, dense, agree, randomise, fidelity
):
    data = catalogue()
    model = build_model(
        "MF-BPR", data, fidelity=fidelity, embedding_dim=5, reg_weight=0.3
    )
    p, q = randomise(model).user.weight, model.item.weight
    rows = p[batch.user], q[batch.pos_item], q[batch.neg_item]
    if fidelity == "paper":
        reg = sum((x**2).sum() for x in rows) / 2 / len(batch.user)
    else:
        reg = sum((x**2).sum() ** 0.5 for x in rows) / len(batch.user)
    expected = {"bpr": dense.bpr(p, q, batch), "reg": 0.3 * reg}
    agree(model, model.loss(data, batch), expected)


def test_scores_are_inner_products(catalogue):
    data = catalogue()
    model = build_model("MF-BPR", data, embedding_dim=5)
    scores = model.score(*model.encode(data))
    for u, i in ((0, 0), (3, 7), (8, 13)):
        expected = sum(
            a * b
            for a, b in zip(
                model.user.weight[u].tolist(),
                model.item.weight[i].tolist(),
                strict=True,
            )
        )
        assert scores[u, i].item() == pytest.approx(expected, rel=1e-12)


def test_tables_start_xavier_normal(catalogue):
    data = catalogue(num_items=2000)
    table = build_model("MF-BPR", data).item.weight
    expected = (2 / (2000 + 64)) ** 0.5
    # 128 000 draws: the standard error of their deviation is 0.2 %.
    assert table.std().item() == pytest.approx(expected, rel=0.01)
    assert abs(table.mean().item()) < 4 * expected / table.numel() ** 0.5
    assert table.abs().max() > 3 * expected  # a uniform law ends at 1.73


def test_loss_reads_no_feature_and_no_graph(catalogue, batch):
    data = catalogue()
    model = build_model("MF-BPR", data)
    before = model.loss(data, batch)
    del data["item"].x_visual, data["user", "interacts", "item"].edge_index
    after = model.loss(data, batch)
    assert all(torch.equal(before[term], after[term]) for term in before)
