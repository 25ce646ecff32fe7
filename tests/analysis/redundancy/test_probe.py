from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgraph.analysis.redundancy.probe import probe_projection
from mmgraph.data import from_interactions, load_dataset
from mmgraph.schema import INTERACTS


@pytest.fixture(scope="module")
def splits():
    return load_dataset("synthetic")


@pytest.fixture(scope="module")
def probe(splits):
    return probe_projection(
        *splits[:2], k=5, ranks=[2, 4], strengths=[0.5, 1.0], num_users=40, seed=3
    )


def slow_recall(train, valid, users, graph):
    """Recall@20 of each user, one by one, by a graph as a dense matrix."""
    seen = np.zeros((train["user"].num_nodes, train["item"].num_nodes))
    seen[tuple(train[INTERACTS].edge_index.numpy())] = 1
    user, item = valid[INTERACTS].edge_label_index.numpy()
    recalls = []
    for u in users:
        scores = (graph @ seen[u]).astype(np.float32)
        scores[seen[u] > 0] = -np.inf
        top = set(torch.from_numpy(scores).topk(20).indices.tolist())
        held_out = set(item[user == u].tolist())
        recalls.append(len(top & held_out) / len(held_out))
    return np.array(recalls)


def dense_graph(x, k=5):
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    there = np.linalg.norm(x, axis=1) > 0
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    cosine[:, ~there] = -2
    kept = np.zeros_like(cosine)
    order = np.argsort(-cosine, axis=1)[:, :k]
    np.put_along_axis(kept, order, np.take_along_axis(cosine, order, 1), 1)
    kept[~there] = 0
    return np.maximum(kept, 0)


def features(train, rank, strength):
    """Centred, of one scale, and projected, in NumPy alone."""
    x, present = {}, {}
    for m in ("visual", "textual"):
        raw = train["item"][f"x_{m}"].double().numpy()
        mask = train["item"].get(f"mask_{m}")
        present[m] = raw.any(1) if mask is None else raw.any(1) & mask.numpy()
        centred = np.where(present[m][:, None], raw - raw[present[m]].mean(0), 0)
        x[m] = centred / np.sqrt((centred**2).sum() / present[m].sum())
    # The library centres over all items, also those without a feature.
    a, b = (x[m] - x[m].mean(0) for m in x)
    u, _, wt = np.linalg.svd(a.T @ b)
    for m, basis in (("visual", u[:, :rank]), ("textual", wt[:rank].T)):
        x[m] = x[m] - strength * x[m] @ basis @ basis.T
    return x


def test_every_number_is_that_of_a_slow_route(splits, probe):
    train, valid, _ = splits
    users = valid[INTERACTS].edge_label_index[0].unique()
    order = torch.randperm(len(users), generator=torch.Generator().manual_seed(3))
    drawn = sorted(users[order[:40]].tolist())
    assert probe.num_users == 40
    before = {}
    for n, (rank, strength) in enumerate([(0, 0), (2, 0.5), (2, 1), (4, 0.5), (4, 1)]):
        x = features(train, rank, strength)
        graphs = {m: dense_graph(x[m]) for m in x}
        expected = [
            graphs["visual"],
            graphs["textual"],
            0.1 * graphs["visual"] + 0.9 * graphs["textual"],
            0.5 * graphs["visual"] + 0.5 * graphs["textual"],
            dense_graph(np.concatenate([x["visual"], x["textual"]], axis=1)),
        ]
        for place, graph in zip(probe.places, expected, strict=True):
            values = slow_recall(train, valid, drawn, graph)
            point = place.points[n]
            assert (point.rank, point.strength) == (rank, strength)
            # float32 may order two neighbours of one cosine the other way round
            assert point.recall == pytest.approx(values.mean(), abs=0.026)
            if rank == 0:
                before[place.name] = values
            else:
                change = values - before[place.name]
                assert point.difference == pytest.approx(change.mean(), abs=0.026)
                error = change.std(ddof=1) / 40**0.5
                assert point.error == pytest.approx(error, abs=0.02)


def test_differences_are_those_of_the_recalls(probe):
    for place in probe.places:
        first = place.points[0]
        assert (first.rank, first.difference) == (0, 0)
        for point in place.points[1:]:
            change = point.recall - first.recall
            assert point.difference == pytest.approx(change, abs=1e-12)


def test_the_places_go_by_the_modalities(splits, probe):
    assert [place.name for place in probe.places] == [
        *("visual", "textual", "the graph (visual 0.1, textual 0.9)"),
        *("the graph (visual 0.5, textual 0.5)", "all features side by side"),
    ]
    train, valid, _ = load_dataset("synthetic")
    for split in (train, valid):
        split["item"].x_acoustic = split["item"].x_visual.flip(0)
        del split["item"].x_visual
        if "mask_visual" in split["item"]:
            del split["item"].mask_visual
    places = probe_projection(train, valid, ranks=[], num_users=10).places
    assert [place.name for place in places] == [
        *("textual", "acoustic", "the graph (textual 0.5, acoustic 0.5)"),
        "all features side by side",
    ]


def planted(loud):
    """Items whose groups users stay in; both modalities have a loud part in common."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 10)
    signal = rng.normal(size=(20, 12))[group]
    common = rng.normal(size=(200, 3)) * loud
    interactions = [
        (user, item)
        for user in range(300)
        for item in rng.choice(np.flatnonzero(group == user % 20), 6, replace=False)
    ]
    x = {
        name: np.hstack([common, part + 0.3 * rng.normal(size=part.shape)])
        for name, part in (("visual", signal[:, :6]), ("textual", signal[:, 6:]))
    }
    users, items = zip(*interactions, strict=True)
    data = from_interactions(
        users, items, features={k: v.astype(np.float32) for k, v in x.items()}
    )
    edges = data[INTERACTS].edge_index
    held_out = torch.arange(edges.size(1)) % 6 == 0
    train, valid = data, data.clone()
    for split in (train, valid):
        split[INTERACTS].edge_index = edges[:, ~held_out]
    train[INTERACTS].edge_label_index = edges[:, ~held_out]
    valid[INTERACTS].edge_label_index = edges[:, held_out]
    return train, valid


def test_a_loud_common_part_that_says_nothing_pays_to_project_out():
    probe = probe_projection(*planted(loud=20), ranks=[3], strengths=[1.0])
    for place in probe.places:
        assert place.points[1].difference > 0.2
    assert probe.suggestion.startswith("Projecting pays for visual, ")
    silent = probe_projection(*planted(loud=0.0), ranks=[3], strengths=[1.0])
    assert "pays" not in silent.suggestion


def test_ranks_beyond_a_dimension_are_left_out():
    probe = probe_projection(*planted(loud=1), ranks=[3, 64], strengths=[1.0])
    assert [point.rank for point in probe.places[0].points] == [0, 3]


def test_data_that_cannot_answer_are_refused(splits):
    train, valid, _ = load_dataset("synthetic", modalities=["visual"])
    with pytest.raises(ValueError, match="the probe needs two modalities or more"):
        probe_projection(train, valid)
    train, valid, _ = load_dataset("synthetic")
    valid[INTERACTS].edge_label_index = valid[INTERACTS].edge_label_index[:, :1]
    with pytest.raises(ValueError, match=r"two users with validation items \(got 1\)"):
        probe_projection(train, valid)
