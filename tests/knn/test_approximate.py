from __future__ import annotations

import sys

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn import approximate_knn_graph, knn_graph
from mmgraph.knn.digest import graph_digest

pytest.importorskip("faiss", reason="this way of searching is FAISS itself")


def clustered(num_rows=6000, dim=16):
    """Clusters, 30 copies of one row, and zero rows."""
    centre = 3 * torch.randn(60, dim)
    x = centre[torch.randint(60, (num_rows,))] + torch.randn(num_rows, dim)
    x[torch.randperm(num_rows)[:30]] = x[0].clone()
    x[17] = x[4000] = 0
    return x


def recall_of(graph, exact, num_rows):
    found, wanted = (g[0] * num_rows + g[1] for g in (graph, exact))
    return float(torch.isin(wanted, found).double().mean())


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_recall_of_the_whole_graph_is_what_was_promised(metric):
    x = clustered()
    graph = approximate_knn_graph(x, 5, metric=metric, recall=0.9, sample=500)
    want = knn_graph(x, 5, metric=metric)
    true = recall_of(graph.edge_index, want[0], len(x))
    if graph.exact:  # inner products of unequal rows are hard to partition
        assert metric == "ip"
        assert graph_digest(graph.edge_index, graph.similarity) == graph_digest(*want)
        return
    assert graph.certificate.lower_99 >= 0.9
    assert graph.certificate.lower_99 <= true < 1
    # 500 rows of 5: four standard errors of whole rows that hit or miss.
    assert abs(graph.certificate.estimate - true) < 4 * (true * (1 - true) / 500) ** 0.5
    assert 0 < graph.probe < graph.num_cells


def test_edges_keep_the_rules_of_the_exact_graph():
    x = clustered()
    graph = approximate_knn_graph(x, 5, recall=0.9, sample=500)
    assert not graph.exact
    (neighbour, centre), similarity = graph.edge_index, graph.similarity
    kept = x.any(1).nonzero().flatten()
    assert torch.equal(centre, kept.repeat_interleave(5))
    assert (neighbour != centre).all()
    assert x[neighbour].any(1).all()
    lists = neighbour.view(-1, 5)
    assert (lists.sort(1).values.diff(dim=1) > 0).all()  # nobody twice
    value = torch.cosine_similarity(x[neighbour].double(), x[centre].double())
    torch.testing.assert_close(similarity.double(), value, rtol=0, atol=1e-7)
    step, tie = similarity.view(-1, 5).diff(dim=1), lists.diff(dim=1)
    assert ((step < 0) | ((step == 0) & (tie > 0))).all()
    # Copies of one row: the first of the others, as in the exact graph.
    copies = (x == x[0]).all(1).nonzero().flatten()
    row = int((kept == copies[-1]).nonzero())
    assert lists[row].tolist() == copies[:5].tolist()


def test_include_self_puts_rows_in_their_lists():
    x = clustered()
    graph = approximate_knn_graph(x, 1, recall=0.9, sample=500, include_self=True)
    neighbour, centre = graph.edge_index
    assert not graph.exact
    same = (neighbour == centre) | (x[neighbour] == x[centre]).all(1)
    assert same.all()


def test_policies_hold_for_approximate_and_exact_graphs():
    x = clustered()
    x[200], x[300, 4] = torch.nan, torch.inf
    policies = {"nan": "isolate", "duplicates": "collapse"}
    want = knn_graph(x, 5, **policies)
    graph = approximate_knn_graph(x, 5, recall=0.9, sample=500, **policies)
    assert not graph.exact
    assert torch.equal(graph.edge_index[1], want[0][1])
    kept = want[0][1].unique()
    assert torch.isin(graph.edge_index[0], kept).all()
    true = recall_of(graph.edge_index, want[0], len(x))
    assert graph.certificate.lower_99 <= true < 1
    small = approximate_knn_graph(x[:400], 5, **policies)
    assert small.exact
    assert graph_digest(small.edge_index, small.similarity) == graph_digest(
        *knn_graph(x[:400], 5, **policies)
    )
    with pytest.raises(ValueError, match=r"finite: row 200 holds NaN or infinity"):
        approximate_knn_graph(x, 5)


def test_one_seed_gives_one_graph():
    x = clustered()
    one, two = (
        approximate_knn_graph(x, 5, recall=0.9, sample=500, seed=3) for _ in "ab"
    )
    assert graph_digest(one.edge_index, one.similarity) == graph_digest(
        two.edge_index, two.similarity
    )
    assert one.certificate == two.certificate


def test_a_bound_that_misses_gives_the_exact_graph(monkeypatch):
    """Cells tuned on rows that flatter them: the certificate is not fooled."""
    x = clustered()
    module = sys.modules["mmgraph.knn.approximate"]
    monkeypatch.setattr(module, "recalled_edges", lambda exact, found: torch.ones(1))
    graph = approximate_knn_graph(x, 5, recall=0.99, sample=1000)
    assert graph.exact
    assert 0 < graph.certificate.lower_99 < 0.99
    assert graph_digest(graph.edge_index, graph.similarity) == graph_digest(
        *knn_graph(x, 5)
    )


def test_small_and_hard_tables_are_built_exactly():
    for x in (torch.randn(300, 4), torch.randn(2000, 64), torch.zeros(9, 2)):
        graph = approximate_knn_graph(x, 5, sample=400)
        assert graph.exact
        assert graph.certificate is None
        want = graph_digest(*knn_graph(x, 5))
        assert graph_digest(graph.edge_index, graph.similarity) == want


def test_bad_options_and_missing_faiss_are_named(monkeypatch):
    x = torch.randn(900, 4)
    with pytest.raises(ValueError, match=r"'recall' must be in \(0, 1\) \(got 1\)"):
        approximate_knn_graph(x, 2, recall=1)
    with pytest.raises(ValueError, match=r"'sample' must be at least 1 \(got 0\)"):
        approximate_knn_graph(x, 2, sample=0)
    with pytest.raises(ValueError, match=r"'k' must be at least 1 \(got 0\)"):
        approximate_knn_graph(x, 0)
    with pytest.raises(ValueError, match=r"'metric' must be one of .* \(got 'dot'\)"):
        approximate_knn_graph(x, 2, metric="dot")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"^approximate search needs FAISS - pip inst"):
        approximate_knn_graph(x, 2, sample=100)
