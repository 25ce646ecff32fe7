from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from mmgraph.data import check_split, fingerprint, plant_catalogue, synthetic
from mmgraph.schema import INTERACTS, modalities


@pytest.fixture(scope="module")
def planted():
    return synthetic()


def test_the_default_is_sound_and_of_the_stated_size(planted):
    train, val, test, _ = planted
    check_split(train, val, test)
    assert (train["user"].num_nodes, train["item"].num_nodes) == (1000, 600)
    rows = sum(p[INTERACTS].edge_label_index.size(1) for p in (train, val, test))
    assert abs(rows / 1000 - 20) < 0.5  # uniform on 10..30: sd of the mean .19
    assert train["item"].x_visual.shape == (600, 64)
    assert train["item"].x_textual.shape == (600, 48)


def test_one_seed_one_catalogue():
    options = {"num_users": 50, "num_items": 60}
    hashes = [fingerprint(*synthetic(seed=s, **options)[:3]) for s in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("observed_only", [True, False])
def test_the_cross_covariance_shows_the_planted_subspaces(seed, observed_only):
    data, truth = plant_catalogue(seed=seed, num_users=5)
    item = data["item"]
    rows = item.mask_visual & item.mask_textual
    if not observed_only:
        rows = torch.ones_like(rows)
    x, y = item.x_visual[rows].double().numpy(), item.x_textual[rows].double().numpy()
    u, s, vt = np.linalg.svd((x - x.mean(0)).T @ (y - y.mean(0)) / len(x))
    for found, name in ((u[:, :4], "visual"), (vt[:4].T, "textual")):
        angles = subspace_angles(found, truth.shared_basis[name].double().numpy())
        assert np.degrees(angles.max()) < 5
    assert s[3] > 20 * s[4]  # the shared rank is 4, with a wide gap


def test_planted_bases_are_orthonormal_and_apart():
    _, truth = plant_catalogue(num_users=5)
    for name in ("visual", "textual"):
        both = torch.cat([truth.shared_basis[name], truth.private_basis[name]], dim=1)
        torch.testing.assert_close(both.T @ both, torch.eye(8), atol=1e-6, rtol=0)


def test_factors_are_uncorrelated_over_the_items():
    _, truth = plant_catalogue(num_users=5)
    f = truth.item_factors.double()
    torch.testing.assert_close(f.mean(0), torch.zeros(12).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(f.T @ f / 600, torch.eye(12).double(), atol=1e-5, rtol=0)


def test_features_are_the_stated_sum():
    data, truth = plant_catalogue(num_users=5, noise=0.0, missing=0.0)
    scale = torch.tensor([2.0, 2 - 1 / 6, 2 - 2 / 6, 1.5])
    x = data["item"].x_visual
    for row in (0, 17, 599):
        expected = (
            truth.shared_basis["visual"] @ (scale * truth.shared_factors[row])
            + truth.private_basis["visual"] @ truth.private_factors["visual"][row]
        )
        centred = x[row] - x.mean(0)  # the factors have mean 0, so this is the offset
        torch.testing.assert_close(centred, expected, atol=1e-5, rtol=0)


def recall(scores, train, test, k=20):
    """Mean recall@k by a plain loop, training items left out."""
    seen, wanted = {}, {}
    for store, pairs in (
        (seen, train[INTERACTS].edge_index),
        (wanted, test[INTERACTS].edge_label_index),
    ):
        for user, item in pairs.T.tolist():
            store.setdefault(user, set()).add(item)
    values = []
    for user, items in wanted.items():
        row = scores[user].clone()
        row[list(seen[user])] = -torch.inf
        values.append(len(items & set(row.topk(k).indices.tolist())) / len(items))
    return sum(values) / len(values)


def test_the_true_liking_ranks_far_above_popularity(planted):
    train, _, test, truth = planted
    counts = torch.bincount(train[INTERACTS].edge_index[1], minlength=600).float()
    popular = recall(counts.expand(1000, 600), train, test)
    liked = recall(truth.preference, train, test)
    private = recall(
        truth.user_factors[:, 4:] @ truth.item_factors[:, 4:].T, train, test
    )
    shared = recall(
        truth.user_factors[:, :4] @ truth.item_factors[:, :4].T, train, test
    )
    assert liked > 2.5 * popular
    assert private > 2 * shared  # users prefer the private factors
    assert popular > 3 * 20 / 600  # yet popularity is worth something


def test_private_share_moves_the_liking():
    _, truth = plant_catalogue(private_share=0.3, num_users=4000)
    variance = truth.user_factors.var(dim=0)
    assert abs(variance[:4].sum() - 0.7) < 0.05
    assert abs(variance[4:].sum() - 0.3) < 0.05


def test_missing_features_are_zero_and_never_of_all_modalities():
    data, _ = plant_catalogue(num_users=5, missing=0.1)
    masks = [data["item"].mask_visual, data["item"].mask_textual]
    assert [int((~mask).sum()) for mask in masks] == [60, 60]
    assert not (~masks[0] & ~masks[1]).any()
    assert torch.equal((data["item"].x_visual != 0).any(1), masks[0])


@pytest.mark.parametrize(
    "widths", [{"visual": 16}, {"visual": 16, "textual": 20, "acoustic": 9}]
)
def test_any_modalities(widths):
    train, _, _, truth = synthetic(num_users=20, num_items=60, modalities=widths)
    assert modalities(train) == list(widths)
    assert truth.item_factors.shape == (60, 4 + 4 * len(widths))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_items": 20}, r"num_items must be at least 40 .got 20"),
        ({"num_users": 0}, r"num_users and .* must be at least 1 .got 0, 20"),
        ({"modalities": {"a": 7}}, "each dimension must be 8 or more"),
        ({"modalities": {}}, "at least one modality"),
        ({"private_share": 1.2}, r"private_share must lie in 0..1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plant_catalogue(**options)
