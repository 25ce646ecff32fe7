from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from mmgraph.analysis.reproduce.experiments import clear_theorems as module
from mmgraph.analysis.reproduce.experiments.clear_theorems import (
    class_means,
    class_predictions,
    clear_theorems,
    fisher_ratio,
    imbalance,
    item_classes,
    pair_theorems,
)


@pytest.fixture(scope="module")
def result(make_context, tmp_path_factory):
    grid = {"classes": [4]}
    return clear_theorems(make_context(tmp_path_factory.mktemp("t"), grid=grid))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(80, 2))
    v = shared @ rng.normal(size=(2, 6)) + rng.normal(size=(80, 6)) / 3 + 2
    t = shared @ rng.normal(size=(2, 6)) + rng.normal(size=(80, 6)) / 3 - 1
    classes = (shared[:, 0] > 0).astype(int) + 2 * (shared[:, 1] > 0)
    return torch.from_numpy(v), torch.from_numpy(t), torch.from_numpy(classes)


def covariance(v, t):
    v, t = v.numpy(), t.numpy()
    return (v - v.mean(0)).T @ (t - t.mean(0)) / len(v)


def test_both_models_and_every_claim_are_there(result):
    models = [entry["model"] for entry in result.numbers["pairs"]]
    assert models == ["CLEAR", "CLEAR:strength=0"]
    claims, left, _ = result.tables
    assert len(claims.rows) == 2 * 4
    assert len(left.rows) == 2
    for entry in result.numbers["pairs"]:
        assert entry["modalities"] == ["visual", "textual"]
        assert entry["rank"] == 2
        # Identities and inequalities that are true of any matrices.
        assert entry["theorem_8"]["relative_error"] < 1e-10
        assert entry["theorem_8"]["slope_error"] < 1e-6
        assert entry["theorem_8"]["energy"] == sorted(
            entry["theorem_8"]["energy"], reverse=True
        )
        sixth = entry["theorem_6"]
        assert sixth["weyl"] <= sixth["weyl_bound"] * (1 + 1e-9)
    assert 0 < result.numbers["corollary_7"]["by_user"] <= 1


def test_weights_of_a_softmax_are_those_after_it(make_context, tmp_path):
    settings = {"user_weights": "softmax"}
    context = make_context(tmp_path, grid={"classes": [4]}, settings=settings)
    for entry in clear_theorems(context).numbers["pairs"]:
        weight = context.fit(entry["model"]).model.gcn.fuse_users.weight
        alpha, beta = weight.softmax(dim=1).mean(dim=0).flatten().tolist()
        assert alpha + beta == pytest.approx(1)
        bound = 1 / (alpha**2 + beta**2)
        assert entry["corollary_3"]["bound"] == pytest.approx(bound, rel=1e-5)


def test_theorem_8_by_numpy(pair):
    v, t, classes = pair
    found = pair_theorems(v, t, 2, classes)["theorem_8"]
    sigma = np.linalg.svd(covariance(v, t), compute_uv=False)
    for strength, energy in zip(module.STRENGTHS, found["energy"], strict=True):
        damped = sigma.copy()
        damped[:2] *= (1 - strength) ** 2
        assert energy == pytest.approx((damped**2).sum() / (sigma**2).sum())


def test_theorem_6_by_scipy(pair):
    v, t, classes = pair
    found = pair_theorems(v, t, 2, classes)["theorem_6"]
    of_class = {
        c: (v[classes == c].mean(0), t[classes == c].mean(0))
        for c in set(classes.tolist())
    }
    coarse_v, coarse_t = (
        torch.stack([of_class[int(c)][side] for c in classes]) for side in (0, 1)
    )
    cov, coarse = covariance(v, t), covariance(coarse_v, coarse_t)
    assert found["coarse_energy"] == pytest.approx(
        np.linalg.norm(coarse) / np.linalg.norm(cov)
    )
    u, sigma, _ = np.linalg.svd(cov)
    u_coarse, sigma_coarse, _ = np.linalg.svd(coarse)
    angles = scipy.linalg.subspace_angles(u[:, :2], u_coarse[:, :2])
    assert found["sine"] == pytest.approx(np.linalg.norm(np.sin(angles)), rel=1e-6)
    assert found["weyl"] == pytest.approx(np.abs(sigma - sigma_coarse).max())
    assert found["weyl_bound"] == pytest.approx(np.linalg.norm(cov - coarse, 2))
    gap = sigma_coarse[1] - sigma[2]
    assert found["sine_bound"] == pytest.approx(np.linalg.norm(cov - coarse) / gap)


def test_theorem_1_by_hand(pair):
    v, t, classes = pair
    found = pair_theorems(v, t, 2, classes)["theorem_1"]
    u = np.linalg.svd(covariance(v, t))[0][:, :2]
    x = v.numpy() - v.numpy().mean(0)
    for name, rows in (("inside", x @ u), ("outside", x - x @ u @ u.T)):
        groups = [rows[classes.numpy() == c] for c in range(4)]
        between = sum(len(g) * (g.mean(0) ** 2).sum() for g in groups)
        within = sum(((g - g.mean(0)) ** 2).sum() for g in groups)
        assert found[name] == pytest.approx(between / within)
    # The classes are those of the shared factors: the theorem's claim is false here.
    assert found["inside"] > 2 * found["outside"]
    assert fisher_ratio(torch.ones(3, 2), torch.tensor([0, 1, 1])) == float("inf")


def test_corollary_3_by_hand(pair):
    v, t, _ = pair
    found = imbalance(v, t, 2, 0.6, 0.4)["corollary_3"]
    u, _, w_t = np.linalg.svd(covariance(v, t))
    energy = {}
    for name, x, basis in (("v", v, u[:, :2]), ("t", t, w_t[:2].T)):
        x = x.numpy() - x.numpy().mean(0)
        part = x @ basis @ basis.T
        energy[name] = (part**2).sum(1).mean(), ((x - part) ** 2).sum(1).mean()
    ratio = energy["v"][0] / (0.36 * energy["v"][1] + 0.16 * energy["t"][1])
    assert found["ratio"] == pytest.approx(ratio)
    assert found["bound"] == pytest.approx(1 + 2 * 0.24 / (0.36 + 0.16))
    assert found["shared_fraction"] == pytest.approx(energy["v"][0] / sum(energy["v"]))


def test_corollary_7_counts_pairs(make_context, tmp_path, toy):
    context = make_context(tmp_path)
    classes = item_classes(context, 3)
    assert classes.shape == (90,)
    assert classes.tolist() == item_classes(context, 3).tolist()  # seeded
    found = class_predictions(context, classes)
    train, valid = (s["user", "interacts", "item"].edge_label_index for s in toy[1][:2])
    pairs = [(u, int(classes[i])) for u, i in train.T.tolist()]
    own, overall = [], []
    for u, i in valid.T.tolist():
        history = [c for v, c in pairs if v == u]
        c = int(classes[i])
        own.append(history.count(c) / len(history))
        overall.append(sum(d == c for _, d in pairs) / len(pairs))
    assert found["by_user"] == pytest.approx(np.mean(own))
    assert found["by_all"] == pytest.approx(np.mean(overall))
    assert found["ratio"] == pytest.approx(np.mean(own) / np.mean(overall))


def test_means_of_classes_with_gaps():
    x = torch.tensor([[1.0], [3.0], [8.0]])
    assert class_means(x, torch.tensor([4, 4, 0])).flatten().tolist() == [2, 2, 8]
