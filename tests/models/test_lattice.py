"""LATTICE alone; what it shares with MICRO is in ``test_graph_learner.py``."""

from __future__ import annotations

import torch

from mmgraph.models import build_model

WIDTHS = {"visual": 6, "textual": 4, "audio": 3}
FIDELITIES = ["paper", "released"]
OPTIONS = {"embedding_dim": 5, "k": 4, "raw_weight": 0.6, "reg_weight": 0.3}


def make(data, fidelity="paper", **options):
    return build_model("LATTICE", data, fidelity=fidelity, **(OPTIONS | options))


def test_logits_start_equal_and_have_a_gradient(catalogue, batch, first_epoch):
    data = catalogue(WIDTHS)
    model = make(data)
    assert torch.equal(model.modality_logits, torch.full((3,), 1 / 3))
    model.loss(first_epoch(model, data), batch)["bpr"].backward()
    assert (model.modality_logits.grad.abs() > 1e-9).all()


def test_forms_differ_only_where_modalities_meet(catalogue, dense, randomise):
    """With one modality, normalising before and after the sum are the same."""
    data = catalogue({"visual": 6})
    graphs = []
    for fidelity in FIDELITIES:
        torch.manual_seed(1)
        model = make(data, fidelity)
        ((edge_index, weight),) = model.item_graphs(model.add_graphs(data))
        matrix = torch.zeros(14, 14)
        index = (edge_index[1], edge_index[0])
        graphs.append(matrix.index_put(index, weight.detach(), accumulate=True))
    torch.testing.assert_close(*graphs, rtol=1e-10, atol=1e-12)
