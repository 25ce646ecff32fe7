"""The exact properties of the projection (CLEAR, 2026), in float64."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmgraph.functional import (
    cross_covariance,
    shared_bases,
    shared_directions,
    suppress,
    union_bases,
)
from mmgraph.functional.redundancy.canonical_correlation import canonical_correlations
from mmgraph.functional.redundancy.projection import have_common_items

TIGHT = {"atol": 1e-10, "rtol": 1e-10}
DIMS = [(8, 8), (16, 5)]
STRENGTHS = [0.3, 0.9, 1.0]


def close(actual, expected):
    torch.testing.assert_close(actual, expected, **TIGHT)


def tables(dims=(8, 8), rows=200) -> tuple[Tensor, Tensor]:
    """Two tables with three shared factors and means far from zero."""
    shared = torch.randn(rows, 3, dtype=torch.float64)
    x = []
    for d, shift in zip(dims, (3.0, -2.0), strict=True):
        private = torch.randn(rows, d, dtype=torch.float64)
        mix = torch.randn(3, d, dtype=torch.float64)
        x.append(shared @ mix + 0.5 * private + shift)
    return x[0], x[1]


def projector(basis: Tensor, strength: float) -> Tensor:
    eye = torch.eye(basis.size(0), dtype=basis.dtype)
    return eye - strength * basis @ basis.T


def project(x_a, x_b, rank, strength):
    u, _, w = shared_directions(x_a, x_b, rank)
    return suppress(x_a, u, strength), suppress(x_b, w, strength)


@pytest.mark.parametrize("dims", DIMS)
def test_cross_covariance_is_that_of_numpy(dims):
    x_a, x_b = tables(dims)
    both = np.cov(x_a.numpy().T, x_b.numpy().T, bias=True)
    close(cross_covariance(x_a, x_b), torch.from_numpy(both[: dims[0], dims[0] :]))


def test_cross_covariance_of_float32_with_a_large_mean_loses_nothing():
    x = torch.randn(20_000, 4) + 1000
    expected = np.cov(x.double().numpy().T, bias=True)
    actual = cross_covariance(x, x)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), torch.from_numpy(expected).double())


def test_mask_leaves_rows_out_of_mean_and_covariance():
    x_a, x_b = tables()
    mask = torch.rand(200) < 0.6
    x_a[~mask] = torch.nan
    close(cross_covariance(x_a, x_b, mask), cross_covariance(x_a[mask], x_b[mask]))


@pytest.mark.parametrize("dims", DIMS)
def test_directions_are_those_of_scipy(dims):
    x_a, x_b = tables(dims)
    u, sigma, w = shared_directions(x_a, x_b, rank=3)
    assert u.size() == (dims[0], 3)
    assert w.size() == (dims[1], 3)
    eu, es, ewt = scipy.linalg.svd(cross_covariance(x_a, x_b).numpy())
    close(sigma, torch.from_numpy(es))
    close(u @ u.T, torch.from_numpy(eu[:, :3] @ eu[:, :3].T))
    close(w @ w.T, torch.from_numpy(ewt[:3].T @ ewt[:3]))
    # Paired signs: u_i' C w_i is +sigma_i, and the largest entry of u_i is positive.
    close((u.T @ cross_covariance(x_a, x_b) @ w).diagonal(), sigma[:3])
    assert (u.gather(0, u.abs().argmax(0, keepdim=True)) > 0).all()


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize("dims", DIMS)
def test_projection_scales_the_first_singular_values(dims, rank, strength):
    # Theorem 5; singular values come re-sorted, as a multiset.
    x_a, x_b = tables(dims)
    _, sigma, _ = shared_directions(x_a, x_b, rank)
    p_a, p_b = project(x_a, x_b, rank, strength)
    expected = sigma.clone()
    expected[:rank] *= (1 - strength) ** 2
    after = torch.linalg.svdvals(cross_covariance(p_a, p_b))
    close(after, expected.sort(descending=True).values)


def test_singular_vectors_are_unchanged():
    x_a, x_b = tables((16, 5))
    cov = cross_covariance(x_a, x_b)
    u, sigma, w = shared_directions(x_a, x_b, 5)
    after = cross_covariance(*project(x_a, x_b, 2, 0.5))
    expected = sigma * torch.tensor([0.25, 0.25, 1, 1, 1])
    close(u.T @ after @ w, expected.diag())
    close(u @ (u.T @ cov @ w) @ w.T, cov)


@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_remaining_energy_and_its_slope(strength):
    # Eqs. 49-51: (1-s)^4 R_k + rest, slope -4 (1-s)^3 R_k by a central difference.
    x_a, x_b = tables()
    _, sigma, _ = shared_directions(x_a, x_b, 3)
    shared, rest = sigma[:3].square().sum(), sigma[3:].square().sum()

    def energy(s):
        return cross_covariance(*project(x_a, x_b, 3, s)).square().sum()

    close(energy(strength), (1 - strength) ** 4 * shared + rest)
    slope = (energy(strength + 1e-5) - energy(strength - 1e-5)) / 2e-5
    expected = -4 * (1 - strength) ** 3 * shared
    torch.testing.assert_close(slope, expected, rtol=1e-7, atol=0)


def test_zero_strength_is_the_input_itself():
    x_a, x_b = tables()
    u, _, _ = shared_directions(x_a, x_b, 3)
    assert suppress(x_a, u, 0.0) is x_a


def test_full_strength_removes_the_directions_and_lowers_the_rank():
    x_a, x_b = tables((16, 5))
    u, _, w = shared_directions(x_a, x_b, 2)
    p_a, p_b = project(x_a, x_b, 2, 1.0)
    close((p_a - p_a.mean(0)) @ u, torch.zeros(200, 2, dtype=torch.float64))
    close((p_b - p_b.mean(0)) @ w, torch.zeros(200, 2, dtype=torch.float64))
    assert torch.linalg.matrix_rank(cross_covariance(x_a, x_b)) == 5
    assert torch.linalg.matrix_rank(cross_covariance(p_a, p_b), rtol=1e-10) == 3


@pytest.mark.parametrize("strength", [0.0, *STRENGTHS])
def test_projector_spectrum_and_square(strength):
    u, _, _ = shared_directions(*tables(), 3)
    p = suppress(torch.eye(8, dtype=torch.float64), u, strength)
    close(p, p.T)
    values = torch.linalg.eigvalsh(p)
    expected = torch.ones(8, dtype=torch.float64)
    expected[:3] = 1 - strength
    close(values, expected)
    close(p @ p, projector(u, 2 * strength - strength**2))
    assert torch.allclose(p @ p, p, atol=1e-12) == (strength in (0.0, 1.0))


def test_projectors_do_not_see_order_shift_scale_or_sign_of_the_data():
    x_a, x_b = tables((16, 5))
    u, _, w = shared_directions(x_a, x_b, 2)
    order = torch.randperm(200)
    changed = [
        (x_a[order], x_b[order]),
        (x_a + torch.randn(16), x_b - 7),
        (2.5 * x_a, 1e-3 * x_b),
        (-x_a, x_b),
    ]
    for y_a, y_b in changed:
        u_y, _, w_y = shared_directions(y_a, y_b, 2)
        close(u_y @ u_y.T, u @ u.T)
        close(w_y @ w_y.T, w @ w.T)


def test_rotation_of_the_basis_inside_the_subspace_changes_nothing():
    x_a, x_b = tables()
    u, _, _ = shared_directions(x_a, x_b, 3)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    close(suppress(x_a, u @ turn, 0.7), suppress(x_a, u, 0.7))
    close(suppress(x_a, -u, 0.7), suppress(x_a, u, 0.7))


def test_an_orthogonal_change_of_coordinates_turns_the_projector():
    x_a, x_b = tables()
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64)).Q
    u, _, w = shared_directions(x_a, x_b, 2)
    u_t, _, w_t = shared_directions(x_a @ turn, x_b, 2)
    close(projector(u_t, 0.9), turn.T @ projector(u, 0.9) @ turn)
    close(projector(w_t, 0.9), projector(w, 0.9))


@given(st.floats(0, 1), st.integers(0, 5), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_norms_do_not_grow(strength, rank, seed):
    torch.manual_seed(seed)
    x_a, x_b = tables((7, 5), rows=20)
    p_a, p_b = project(x_a, x_b, rank, strength)
    assert p_a.norm() <= x_a.norm() * (1 + 1e-12)
    assert p_b.norm() <= x_b.norm() * (1 + 1e-12)


def test_gradient_is_scaled_along_the_shared_directions_only():
    x_a, x_b = tables()
    u, _, _ = shared_directions(x_a, x_b, 3)
    x = x_a.clone().requires_grad_()
    weight = torch.randn_like(x)
    (suppress(x, u, 0.9) * weight).sum().backward()
    assert x.grad is not None
    close(x.grad @ u, 0.1 * weight @ u)
    rest = projector(u, 1.0)
    close(x.grad @ rest, weight @ rest)


def test_low_rank_form_equals_the_dense_projector():
    x_a, x_b = tables((16, 5))
    u, _, _ = shared_directions(x_a, x_b, 4)
    close(suppress(x_a, u, 0.6), x_a @ projector(u, 0.6))


def test_weyl_and_wedin_bounds_hold():
    # Eqs. 41, 43, 45 with C_fine := C - C_coarse.
    x_a, x_b = tables()
    labels = torch.arange(200) % 4
    coarse_a = torch.stack([x_a[labels == c].mean(0) for c in range(4)])[labels]
    coarse_b = torch.stack([x_b[labels == c].mean(0) for c in range(4)])[labels]
    u, sigma, _ = shared_directions(x_a, x_b, 3)
    for c_a, c_b in [(coarse_a, coarse_b), (x_a + 0.01 * torch.randn(200, 8), x_b)]:
        fine = cross_covariance(x_a, x_b) - cross_covariance(c_a, c_b)
        u_c, sigma_c, _ = shared_directions(c_a, c_b, 3)
        norm = torch.linalg.matrix_norm(fine, 2)
        assert (sigma - sigma_c).abs().max() <= norm + 1e-12
        assert sigma[0] >= sigma_c[0] - norm
        gap = sigma_c[2] - sigma[3]
        sine = torch.linalg.svdvals(projector(u_c, 1.0) @ u).norm()
        if gap > 0:
            assert sine <= 2**0.5 * fine.norm() / gap
    assert gap > 0  # the second case does exercise the bound


def test_uncentred_and_centred_projection_differ_by_a_constant_row():
    x_a, x_b = tables()
    u, _, _ = shared_directions(x_a, x_b, 2)
    mean = x_a.mean(0)
    difference = suppress(x_a, u, 0.9) - suppress(x_a - mean, u, 0.9)
    close(difference, (mean @ projector(u, 0.9)).expand(200, 8))


def test_one_sided_projection_scales_once():
    x_a, x_b = tables()
    u, sigma, _ = shared_directions(x_a, x_b, 2)
    after = torch.linalg.svdvals(cross_covariance(suppress(x_a, u, 0.4), x_b))
    expected = sigma.clone()
    expected[:2] *= 0.6
    close(after, expected.sort(descending=True).values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_directions_are_zero_columns(dtype):
    factor = torch.randn(100, 2, dtype=dtype)
    x_a = factor @ torch.randn(2, 8, dtype=dtype)
    x_b = factor @ torch.randn(2, 6, dtype=dtype)
    u, sigma, w = shared_directions(x_a, x_b, 5)
    assert u.dtype == dtype
    assert sigma.dtype == torch.float64
    assert u.any(dim=0).tolist() == [True, True, False, False, False]
    assert w.any(dim=0).tolist() == [True, True, False, False, False]
    two, _, _ = shared_directions(x_a, x_b, 2)
    torch.testing.assert_close(suppress(x_a, u, 0.9), suppress(x_a, two, 0.9))


@pytest.mark.parametrize("coarse", [0, 1])
def test_the_coarser_of_two_dtypes_says_what_is_noise(coarse):
    factor = torch.randn(100, 2, dtype=torch.float64)
    x = [torch.randn(100, d, dtype=torch.float64) for d in (8, 6)]
    # Two directions and their rounding, which is more than float64's noise.
    x[coarse] = (factor @ torch.randn(2, 8 - 2 * coarse).double()).float()
    u, _, w = shared_directions(*x, 5)
    assert (u.dtype, w.dtype) == (x[0].dtype, x[1].dtype)
    union = union_bases({"a": x[0], "b": x[1]}, 5)
    assert (union["a"].dtype, union["b"].dtype) == (x[0].dtype, x[1].dtype)
    for basis in (u, w):
        assert basis.any(dim=0).tolist() == [True, True, False, False, False]
    assert [basis.size(1) for basis in union.values()] == [2, 2]


def test_a_faint_direction_is_noise_in_float32_and_none_in_float64():
    factor = torch.randn(100, 2, dtype=torch.float64)
    factor = torch.linalg.qr(factor - factor.mean(0)).Q
    x = factor * torch.tensor([1.0, 1e-5])  # the second singular value is 1e-10
    for dtype, found in ((torch.float64, [True, True]), (torch.float32, [True, False])):
        u, _, w = shared_directions(x.to(dtype), x.to(dtype), 2)
        assert u.any(dim=0).tolist() == w.any(dim=0).tolist() == found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_bases_have_the_dtype_of_the_features_and_values_float64(count):
    x = {m: t.float() for m, t in list(many_tables().items())[:count]}
    bases, sigma = shared_bases(x, 2)
    assert {basis.dtype for basis in bases.values()} == {torch.float32}
    assert {values.dtype for values in sigma.values()} == {torch.float64}


def test_a_basis_of_another_dtype_leaves_that_of_the_features():
    x_a, x_b = tables()
    u, _, _ = shared_directions(x_a, x_b, 2)
    out = suppress(x_a.float(), u, 0.9)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, suppress(x_a, u, 0.9).float())


def test_constant_features_share_nothing():
    x = torch.ones(20, 4)
    u, sigma, w = shared_directions(x, torch.randn(20, 3), 2)
    assert not u.any()
    assert not w.any()
    close(sigma, torch.zeros(3, dtype=torch.float64))


def test_planted_directions_are_found_within_five_degrees():
    torch.manual_seed(1)
    shared = torch.randn(4000, 3)
    planted = torch.linalg.qr(torch.randn(32, 3)).Q
    x_a = 3 * shared @ planted.T + torch.randn(4000, 32)
    x_b = 3 * shared @ torch.linalg.qr(torch.randn(24, 3)).Q.T + torch.randn(4000, 24)
    u, _, _ = shared_directions(x_a, x_b, 3)
    angle = scipy.linalg.subspace_angles(u.numpy(), planted.numpy())
    assert np.degrees(angle).max() <= 5


def test_two_modalities_by_name_are_the_pair():
    x_a, x_b = tables((16, 5))
    for weights in ("equal", "raw"):
        bases, sigma = shared_bases({"v": x_a, "t": x_b}, 3, weights=weights)
        u, s, w = shared_directions(x_a, x_b, 3)
        assert torch.equal(bases["v"], u)
        assert torch.equal(bases["t"], w)
        assert torch.equal(sigma["v"], s)
        assert torch.equal(sigma["t"], s)


def many_tables(count=3):
    """Three or four tables of different widths and scales that share factors."""
    x_a, x_b = tables((7, 5))
    x_c = x_a[:, :3] @ torch.randn(3, 6, dtype=torch.float64) + x_b.mean(1)[:, None]
    x_d = torch.randn(200, 4, dtype=torch.float64) + 0.5 * x_b[:, :4] + x_c[:, :4]
    return dict(
        list({"v": x_a, "t": x_b, "a": 10 * x_c, "d": 0.1 * x_d}.items())[:count]
    )


def stacked(x, m, weights, masks=None):
    """``B_m`` of the dense covariances; a pair takes the rows that have both."""
    blocks = []
    for n in x:
        if n != m:
            rows = slice(None) if masks is None else masks[m] & masks[n]
            c = torch.from_numpy(
                np.cov(x[m][rows].numpy().T, x[n][rows].numpy().T, bias=True)
            )[: x[m].size(1), x[m].size(1) :]
            blocks.append(c / c.norm() if weights == "equal" else c)
    return torch.cat(blocks, dim=1)


MANY = pytest.mark.parametrize("count", [3, 4])
WEIGHTS = pytest.mark.parametrize("weights", ["equal", "raw"])


@MANY
@WEIGHTS
def test_more_modalities_use_the_stacked_covariances(weights, count):
    x = many_tables(count)
    bases, sigma = shared_bases(x, 2, weights=weights)
    for m in x:
        # Second route: eigenvectors of sum_n a^2 C C'.
        gram = torch.zeros(x[m].size(1), x[m].size(1), dtype=torch.float64)
        for n in set(x) - {m}:
            c = cross_covariance(x[m], x[n])
            a = 1 / c.norm() if weights == "equal" else 1
            gram += a**2 * c @ c.T
        values, vectors = np.linalg.eigh(gram.numpy())
        top = torch.from_numpy(vectors[:, -2:])
        assert bases[m].size() == (x[m].size(1), 2)
        close(bases[m] @ bases[m].T, top @ top.T)
        close(sigma[m][:2] ** 2, torch.from_numpy(values[::-1][:2].copy()))


@MANY
@WEIGHTS
def test_more_modalities_do_not_depend_on_their_order(weights, count):
    x = many_tables(count)
    bases, sigma = shared_bases(x, 2, weights=weights)
    for order in permutations(x):
        turned, values = shared_bases({m: x[m] for m in order}, 2, weights=weights)
        for m in x:
            close(turned[m], bases[m])
            close(values[m], sigma[m])


@MANY
def test_with_equal_weights_the_scale_of_a_modality_does_not_matter(count):
    x = many_tables(count)
    scaled = {m: 10.0**n * x[m] for n, m in enumerate(x)}
    bases, again = (shared_bases(tables_, 2)[0] for tables_ in (x, scaled))
    raw = shared_bases(scaled, 2, weights="raw")[0]
    for m in x:
        close(again[m], bases[m])
    assert (raw["v"] - bases["v"]).abs().max() > 1e-3  # there it does


@MANY
@WEIGHTS
@pytest.mark.parametrize("strength", STRENGTHS)
def test_projecting_one_of_many_scales_its_first_singular_values_once(
    weights, count, strength
):
    x = many_tables(count)
    bases, _ = shared_bases(x, 2, weights=weights)
    for m in x:
        b_m = stacked(x, m, weights)
        expected = torch.linalg.svdvals(b_m)
        expected[:2] *= 1 - strength
        after = torch.linalg.svdvals(projector(bases[m], strength) @ b_m)
        close(after, expected.sort(descending=True).values)


@MANY
@WEIGHTS
def test_shared_energy_of_more_modalities_falls_with_strength(weights, count):
    x = many_tables(count)
    bases, _ = shared_bases(x, 2, weights=weights)
    energies = []
    for strength in (0.0, 0.3, 0.6, 0.9, 1.0):
        p = {m: suppress(x[m], bases[m], strength) for m in x}
        pairs = list(combinations(x, 2))
        norms = [cross_covariance(p[m], p[n]).norm() for m, n in pairs]
        before = [cross_covariance(x[m], x[n]).norm() for m, n in pairs]
        assert all(n <= b * (1 + 1e-12) for n, b in zip(norms, before, strict=True))
        energies.append(sum(n**2 for n in norms))
    assert all(a > b for a, b in pairwise(energies))


@MANY
@WEIGHTS
def test_each_pair_of_more_modalities_takes_the_items_that_have_both(weights, count):
    x = many_tables(count)
    masks = {m: torch.rand(200) < 0.7 for m in x}
    spoilt = {m: t.clone() for m, t in x.items()}
    for m, t in spoilt.items():
        t[~masks[m]] = torch.nan
    bases, sigma = shared_bases(spoilt, 2, masks=masks, weights=weights)
    for m in x:
        u, values, _ = scipy.linalg.svd(stacked(x, m, weights, masks).numpy())
        close(bases[m] @ bases[m].T, torch.from_numpy(u[:, :2] @ u[:, :2].T))
        close(sigma[m], torch.from_numpy(values))


def test_masks_of_a_pair_keep_the_items_that_have_both():
    x_a, x_b = tables()
    masks = {"v": torch.rand(200) < 0.8, "t": torch.rand(200) < 0.8}
    both = masks["v"] & masks["t"]
    bases, _ = shared_bases({"v": x_a, "t": x_b}, 2, masks=masks)
    u, _, w = shared_directions(x_a[both], x_b[both], 2)
    close(bases["v"], u)
    close(bases["t"], w)


@MANY
def test_the_union_leaves_nothing_of_the_first_directions_of_any_pair(count):
    x = many_tables(count)
    union, stacked_ = union_bases(x, 1), shared_bases(x, 1)[0]
    remaining = []
    for m, n in combinations(x, 2):
        u, sigma, w = np.linalg.svd(cross_covariance(x[m], x[n]).numpy())
        after = cross_covariance(
            suppress(x[m], union[m], 1.0), suppress(x[n], union[n], 1.0)
        ).numpy()
        assert np.abs(u[:, 0] @ after).max() < 1e-9 * sigma[0]
        assert np.abs(after @ w[0]).max() < 1e-9 * sigma[0]
        one_each = cross_covariance(
            suppress(x[m], stacked_[m], 1.0), suppress(x[n], stacked_[n], 1.0)
        ).numpy()
        remaining.append(np.abs(u[:, 0] @ one_each).max() / sigma[0])
    assert max(remaining) > 1e-3  # one direction per modality cannot


@MANY
def test_the_union_spans_the_directions_of_the_pairs_and_no_more(count):
    x = many_tables(count)
    for order in (x, reversed(list(x))):
        for m, basis in union_bases({m: x[m] for m in order}, 2).items():
            pairs = [shared_directions(x[m], x[n], 2)[0] for n in set(x) - {m}]
            span = torch.from_numpy(scipy.linalg.orth(torch.cat(pairs, dim=1).numpy()))
            assert basis.size() == span.size()
            close(basis @ basis.T, span @ span.T)
            close(basis.T @ basis, torch.eye(basis.size(1), dtype=torch.float64))


@MANY
@pytest.mark.parametrize("masked", ["v", "va", "vtad"])
def test_each_pair_of_the_union_takes_the_items_that_have_both(count, masked):
    x = many_tables(count)
    masks = {m: torch.rand(200) < 0.7 for m in x if m in masked}
    spoilt = {m: t.clone() for m, t in x.items()}
    for m, mask in masks.items():
        spoilt[m][~mask] = torch.nan
    every = torch.ones(200, dtype=torch.bool)
    for m, basis in union_bases(spoilt, 1, masks=masks).items():
        pairs = []
        for n in set(x) - {m}:
            rows = masks.get(m, every) & masks.get(n, every)
            pairs.append(shared_directions(x[m][rows], x[n][rows], 1)[0])
        span = torch.from_numpy(scipy.linalg.orth(torch.cat(pairs, dim=1).numpy()))
        close(basis @ basis.T, span @ span.T)


def test_the_union_counts_directions_that_pairs_have_in_common_once():
    x = torch.randn(100, 5)
    bases = union_bases({"a": x, "b": 2 * x + 1, "c": x - 3}, 2)
    assert {m: basis.size(1) for m, basis in bases.items()} == dict.fromkeys("abc", 2)


def test_the_union_of_one_pair_is_the_pair_and_a_single_modality_has_none():
    x_a, x_b = tables()
    u, _, w = shared_directions(x_a, x_b, 2)
    bases = union_bases({"t": x_b, "v": x_a}, 2)
    close(bases["v"] @ bases["v"].T, u @ u.T)
    close(bases["t"] @ bases["t"].T, w @ w.T)
    assert union_bases({"v": x_a}, 2)["v"].size() == (x_a.size(1), 0)
    both = {"t": x_b, "v": x_a}
    assert all(torch.equal(bases[m], shared_bases(both, 2)[0][m]) for m in both)
    for call in (union_bases, shared_bases):
        with pytest.raises(ValueError, match=r"^no modality .* an empty mapping\)$"):
            call({}, 2)


def test_one_modality_shares_nothing():
    bases, sigma = shared_bases({"v": torch.randn(10, 4)}, 2)
    assert bases["v"].size() == (4, 2)
    assert not bases["v"].any()
    assert sigma["v"].numel() == 0


def test_errors_name_the_value():
    x_a, x_b = tables((16, 5))
    with pytest.raises(ValueError, match=r"'rank' must be in \[0, 5\] \(got 6\)"):
        shared_directions(x_a, x_b, 6)
    with pytest.raises(ValueError, match=r"'strength' must be in \[0, 1\] \(got 1.2\)"):
        suppress(x_a, x_a[:16, :2], 1.2)
    with pytest.raises(ValueError, match=r"same rows \(got 200 and 3\)"):
        cross_covariance(x_a, x_b[:3])
    with pytest.raises(
        ValueError, match=r"^no row has both modalities \(got 0 rows\)$"
    ):
        cross_covariance(x_a, x_b, torch.zeros(200, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"'weights' must be .* \(got 'cca'\)"):
        shared_bases({"v": x_a, "t": x_b}, 2, weights="cca")


def test_runs_on_the_device(device):
    x_a, x_b = (x.to(device) for x in tables())
    u, sigma, w = shared_directions(x_a, x_b, 2)
    assert {u.device.type, sigma.device.type, w.device.type} == {device.type}
    expected, _, _ = shared_directions(x_a.cpu(), x_b.cpu(), 2)
    close(u.cpu(), expected)


def test_a_pair_without_common_items_shares_nothing():
    x = {m: torch.randn(20, d) for m, d in (("a", 4), ("b", 3), ("c", 5))}
    masks = {"a": torch.arange(20) < 12, "c": torch.arange(20) >= 12}
    assert have_common_items(x, masks)
    assert not have_common_items(["a", "c"], masks)
    bases, sigmas = shared_bases({m: x[m] for m in "ac"}, 2, masks=masks)
    assert not any(basis.any() for basis in bases.values())
    assert not any(sigma.any() for sigma in sigmas.values())
    # b is the only partner that a and c have.
    for make in (
        lambda x: shared_bases(x, 2, masks=masks)[0],
        lambda x: union_bases(x, 2, masks=masks),
    ):
        every = make(x)
        for m in "ac":
            pair = make({"b": x["b"], m: x[m]})
            torch.testing.assert_close(
                every[m] @ every[m].T, pair[m] @ pair[m].T, atol=1e-5, rtol=0
            )


def test_canonical_bases_do_not_see_size_or_rotation():
    x = {"a": torch.randn(60, 5).double(), "b": torch.randn(60, 4).double()}
    x["b"][:, 0] += x["a"][:, 1]
    mixed = {"a": x["a"] @ torch.randn(5, 5).double() * 7 + 3, "b": x["b"]}
    one, sigma = shared_bases(x, 2, directions="canonical")
    other, again = shared_bases(mixed, 2, directions="canonical")
    torch.testing.assert_close(sigma["a"], again["a"])
    # The variates are the same, whatever the coordinates.
    for each, bases in ((x, one), (mixed, other)):
        assert bases["a"].shape == (5, 2)
        centred = each["a"] - each["a"].mean(0)
        each["variates"] = torch.linalg.qr(centred @ bases["a"])[0]
    cosines = torch.linalg.svdvals(x["variates"].T @ mixed["variates"])
    torch.testing.assert_close(cosines, torch.ones(2).double())


def test_canonical_bases_of_missing_items_constant_columns_and_three_modalities():
    torch.manual_seed(1)
    x = {m: torch.randn(40, 4).double() for m in "abc"}
    x["a"][:, 2] = 5.0  # constant: no direction
    mask = torch.arange(40) < 30
    bases, sigma = shared_bases(x, 2, masks={"a": mask}, directions="canonical")
    rows = {m: each[mask] for m, each in x.items()}
    assert bases["a"][2].abs().max() < 1e-12
    pair = {"a": rows["a"], "b": rows["b"]}
    expected = canonical_correlations(*pair.values())
    _, found = shared_bases(pair, 2, directions="canonical")
    torch.testing.assert_close(found["a"][:3], expected, rtol=1e-9, atol=1e-9)
    assert sigma["b"].shape == (4,)
    alone, none = shared_bases({"a": x["a"]}, 2, directions="canonical")
    assert not alone["a"].any()
    assert none["a"].numel() == 0
    with pytest.raises(ValueError, match="'directions' must be 'covariance' or 'can"):
        shared_bases(x, 2, directions="other")


@pytest.mark.parametrize("directions", ["covariance", "canonical"])
def test_a_modality_that_no_item_has_leaves_the_others_as_they_are(directions):
    x = {m: torch.randn(40, 4).double() for m in "abc"}
    x["c"][:] = torch.nan
    masks = {"c": torch.zeros(40, dtype=torch.bool)}
    bases, sigmas = shared_bases(x, 2, masks=masks, directions=directions)
    pair = {m: x[m] for m in "ab"}
    expected, _ = shared_bases(pair, 2, directions=directions)
    for m in "ab":
        both = bases[m] @ bases[m].T, expected[m] @ expected[m].T
        torch.testing.assert_close(*both, rtol=0, atol=1e-9)
    assert not bases["c"].any()
    assert not sigmas["c"].any()
