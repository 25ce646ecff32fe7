from __future__ import annotations

import copy
import logging
import re

import pytest
import safetensors.torch
import torch
from torch import nn

from mmgraph.functional import cross_covariance, shared_directions, suppress
from mmgraph.functional.redundancy.canonical_correlation import canonical_correlations
from mmgraph.nn.projection import NullSpaceProjection

TIGHT = {"atol": 1e-10, "rtol": 1e-10}


def features(rows=100, dtype=torch.float64):
    shared = torch.randn(rows, 3, dtype=dtype)
    visual = shared @ torch.randn(3, 8, dtype=dtype) + torch.randn(rows, 8, dtype=dtype)
    textual = shared @ torch.randn(3, 6, dtype=dtype) - torch.randn(
        rows, 6, dtype=dtype
    )
    return {"visual": visual + 3, "textual": textual - 2}


def refreshed(x, rank=2, strength=0.9, **options):
    project = NullSpaceProjection(rank, strength, **options)
    project.refresh(x, epoch=1)
    return project


@pytest.mark.parametrize("strength", [0.3, 0.9, 1.0])
def test_forward_is_the_functional_form_with_both_bases(strength):
    x = features()
    u, _, w = shared_directions(x["visual"], x["textual"], 2)
    out = refreshed(x, strength=strength)(x)
    for m, basis in (("visual", u), ("textual", w)):
        expected = suppress(x[m], basis, strength)
        torch.testing.assert_close(out[m], expected, **TIGHT)


def test_singular_values_after_the_module_obey_theorem_5():
    x = features()
    project = refreshed(x, rank=2, strength=0.7)
    out = project(x)
    after = torch.linalg.svdvals(cross_covariance(out["visual"], out["textual"]))
    expected = project.sigma_visual.clone()
    expected[:2] *= 0.3**2
    expected = expected.sort(descending=True).values
    torch.testing.assert_close(after, expected, **TIGHT)


@pytest.mark.parametrize(
    "project",
    [
        NullSpaceProjection(2, 0.9),
        refreshed(features(), strength=0.0),
        refreshed(features(), strength=0.0, stop_gradient=True),
        refreshed(features(), rank=0),
        refreshed({"visual": torch.randn(9, 4)}),
    ],
    ids=["never refreshed", "strength 0", "stopped", "rank 0", "one modality"],
)
def test_is_the_identity(project):
    x = features()
    out = project(x)
    assert all(out[m] is x[m] for m in x)


def test_any_rows_may_be_projected_after_a_refresh():
    x = features()
    project = refreshed(x)
    rows = torch.tensor([5, 2, 5])
    out = project({m: t[rows] for m, t in x.items()})
    for m, t in project(x).items():
        torch.testing.assert_close(out[m], t[rows], **TIGHT)


def test_epochs_count_from_one():
    every = NullSpaceProjection(2, 0.9)
    assert [e for e in range(1, 5) if every.should_refresh(e)] == [1, 2, 3, 4]
    fifth = NullSpaceProjection(2, 0.9, refresh_every=5)
    assert [e for e in range(1, 16) if fifth.should_refresh(e)] == [1, 5, 10, 15]


def test_epoch_of_the_last_refresh_is_kept():
    x = features()
    project = NullSpaceProjection(2, 0.9)
    assert project.refreshed_at == 0
    project.refresh(x)
    project.refresh(x)
    assert project.refreshed_at == 2
    project.refresh(x, epoch=10)
    assert project.refreshed_at == 10


def test_bases_are_constants_and_only_the_features_get_gradients():
    x = {m: t.requires_grad_() for m, t in features().items()}
    project = refreshed(x)
    assert list(project.parameters()) == []
    assert not project.basis_visual.requires_grad
    weight = torch.randn_like(x["visual"])
    (project(x)["visual"] * weight).sum().backward()
    u = project.basis_visual
    grad = x["visual"].grad
    torch.testing.assert_close(grad @ u, 0.1 * weight @ u, **TIGHT)
    rest = torch.eye(8, dtype=u.dtype) - u @ u.T
    torch.testing.assert_close(grad @ rest, weight @ rest, **TIGHT)


def test_the_gradient_along_the_shared_directions_may_stop():
    x = {m: t.requires_grad_() for m, t in features().items()}
    project, usual = refreshed(x, stop_gradient=True), refreshed(x)
    out = project(x)
    for m, t in usual(x).items():
        torch.testing.assert_close(out[m], t, **TIGHT)
    weights = {m: torch.randn_like(t) for m, t in x.items()}
    torch.stack([(out[m] * w).sum() for m, w in weights.items()]).sum().backward()
    for m, weight in weights.items():
        u, grad = project.get_buffer(f"basis_{m}"), x[m].grad
        torch.testing.assert_close(grad @ u, torch.zeros_like(grad @ u), **TIGHT)
        rest = torch.eye(len(u), dtype=u.dtype) - u @ u.T
        torch.testing.assert_close(grad, weight @ rest, **TIGHT)


@pytest.mark.parametrize("center_output", [False, True])
def test_a_fresh_module_loads_what_another_saved(tmp_path, center_output):
    x = features(dtype=torch.float32)
    saved = nn.Sequential(nn.Identity(), refreshed(x, center_output=center_output))
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_model(saved, str(path))
    fresh = nn.Sequential(nn.Identity(), NullSpaceProjection(2, 0.9))
    missing, unexpected = safetensors.torch.load_model(fresh, str(path))
    assert not missing
    assert not unexpected
    other = NullSpaceProjection(2, 0.9)
    other.load_state_dict(saved[1].state_dict())
    for m, t in saved[1](x).items():
        assert torch.equal(fresh[1](x)[m], t)
        assert torch.equal(other(x)[m], t)
    assert fresh[1].refreshed_at == 1


def test_loading_replaces_other_shapes_and_an_unrefreshed_state_clears():
    x = features()
    project = refreshed(x, energy=0.5)
    early = copy.deepcopy(project.state_dict())
    clear = NullSpaceProjection(2, 0.9).state_dict()
    project.refresh({m: torch.randn_like(t) for m, t in x.items()}, epoch=2)
    project.load_state_dict(early)
    assert torch.equal(project.basis_visual, early["basis_visual"])
    assert project.refreshed_at == 1
    project.load_state_dict(clear)
    assert project.modalities == []
    assert project(x)["visual"] is x["visual"]


def test_one_side_leaves_the_other_alone():
    x = features()
    out = refreshed(x, sides="textual")(x)
    assert out["visual"] is x["visual"]
    both = refreshed(x)(x)
    torch.testing.assert_close(out["textual"], both["textual"], **TIGHT)


@pytest.mark.parametrize("sides", [["textual"], ("visual", "textual")])
def test_sides_are_named_one_by_one(sides):
    x = features()
    out, both = refreshed(x, sides=sides)(x), refreshed(x)(x)
    for m in x:
        expected = both[m] if m in sides else x[m]
        torch.testing.assert_close(out[m], expected, **TIGHT)


@pytest.mark.parametrize("names", [("clip_v2", "text_long"), ("a.b", "mean_basis_c")])
def test_modalities_of_any_name_are_loaded_and_cleared(names):
    x = dict(zip(names, features().values(), strict=True))
    project = refreshed(x, center_output=True)
    project.refresh(x, epoch=2)  # takes the place of the first
    other = refreshed(features(), center_output=True)
    other.load_state_dict(project.state_dict())
    assert other.modalities == list(names)
    for m, t in project(x).items():
        assert torch.equal(other(x)[m], t)
    other.load_state_dict(NullSpaceProjection(2, 0.9).state_dict())
    assert dict(other.named_buffers()).keys() == {"refreshed_at"}


def test_buffers_of_the_module_around_it_are_not_taken():
    def around():
        module = nn.Module()
        module.project = NullSpaceProjection(2, 0.9)
        module.register_buffer("mean_rating", torch.zeros(1))
        module.register_buffer("basis_visual", torch.zeros(1))
        return module

    saved, fresh, x = around(), around(), features()
    saved.project.refresh(x)
    fresh.load_state_dict(saved.state_dict())
    assert fresh.state_dict().keys() == saved.state_dict().keys()
    assert torch.equal(fresh.project(x)["visual"], saved.project(x)["visual"])


def test_centred_output_is_the_projection_of_centred_features():
    x = features()
    out = refreshed(x, center_output=True)(x)
    for m, t in x.items():
        centred = refreshed(x)({m: t - t.mean(0)})[m]
        torch.testing.assert_close(out[m], centred, **TIGHT)
        torch.testing.assert_close(
            out[m].mean(0), torch.zeros(t.size(1), dtype=t.dtype), **TIGHT
        )


@pytest.mark.parametrize("energy", [0.3, 0.9, 1.0])
def test_energy_rule_takes_the_smallest_rank_that_holds_the_share(energy):
    x = features()
    project = refreshed(x, energy=energy)
    square = torch.linalg.svdvals(cross_covariance(x["visual"], x["textual"])) ** 2
    share = (square.cumsum(0) / square.sum()).tolist()
    expected = next(k for k, s in enumerate(share, 1) if s >= energy - 1e-12)
    assert project.basis_visual.size(1) == min(expected, 5)


@pytest.mark.parametrize("more", [{}, {"acoustic": 5}])
def test_a_refresh_is_measured_against_the_one_before(more):
    first = features()
    for m, width in more.items():
        first[m] = torch.randn(100, width, dtype=torch.float64)
    second = {m: t + torch.randn_like(t) for m, t in first.items()}
    project = refreshed(first, rank=2)
    assert not any(name.endswith("/affinity") for name in project.measures)
    before = {m: project.get_buffer(f"basis_{m}") for m in first}
    project.refresh(second, epoch=2)
    for m in first:
        sigma, u = project.get_buffer(f"sigma_{m}"), project.get_buffer(f"basis_{m}")
        found = {
            name.removeprefix(f"{m}/"): value
            for name, value in project.measures.items()
            if name.startswith(f"{m}/")
        }
        assert found.pop("affinity") == pytest.approx(
            torch.linalg.matrix_norm(u.T @ before[m]).item() ** 2 / 2, rel=1e-10
        )
        assert found["rank"] == 2
        assert found["sigma_2"] == sigma[1].item()
        share = sigma[:2].square().sum() / sigma.square().sum()
        assert found["head_energy"] == pytest.approx(share.item(), rel=1e-10)
    assert len(project.measures) == len(first) * 8


def test_the_measured_rank_is_the_one_in_use():
    x = features()
    project = refreshed(x, energy=0.9)
    assert project.measures["visual/rank"] == project.basis_visual.size(1)
    planted = torch.randn(100, 1, dtype=torch.float64)
    project = refreshed({m: planted.repeat(1, 3) for m in x}, rank=3)
    assert project.measures["visual/rank"] == 1  # the other two are noise


@pytest.mark.parametrize(
    "project",
    [NullSpaceProjection(2, 0.9), refreshed({"visual": torch.randn(9, 4)})],
    ids=["never refreshed", "one modality"],
)
def test_without_a_basis_nothing_is_measured(project):
    assert project.measures == {}


def test_measures_are_of_a_refresh_and_not_of_a_state():
    x = features()
    assert NullSpaceProjection(2, 0.9).measures == {}
    project = refreshed(x)
    project.load_state_dict(copy.deepcopy(project.state_dict()))
    assert project.measures == {}
    project.refresh(x, epoch=2)  # against the loaded directions
    assert project.measures["textual/affinity"] == pytest.approx(1, rel=1e-10)


def test_masked_rows_have_no_influence():
    x = features()
    mask = torch.rand(100) < 0.7
    project = NullSpaceProjection(2, 0.9)
    spoilt = x["visual"].clone()
    spoilt[~mask] = torch.nan
    project.refresh(x | {"visual": spoilt}, masks={"visual": mask})
    u, _, w = shared_directions(x["visual"], x["textual"], 2, mask=mask)
    torch.testing.assert_close(project.basis_visual, u, **TIGHT)
    torch.testing.assert_close(project.basis_textual, w, **TIGHT)


def test_first_nan_raises_and_a_later_one_keeps_the_projection(caplog):
    x = features()
    broken = x | {"textual": x["textual"].clone()}
    broken["textual"][3, 1] = torch.inf
    with pytest.raises(ValueError, match="modality 'textual' hold NaN or infinite"):
        NullSpaceProjection(2, 0.9).refresh(broken)
    project = refreshed(x)
    before = project.basis_visual.clone()
    project.refresh(broken, epoch=2)
    assert torch.equal(project.basis_visual, before)
    assert project.refreshed_at == 1
    assert "the last projection stays" in caplog.text


def test_missing_gap_is_told_once_and_the_rank_is_logged(caplog):
    turn = torch.linalg.qr(torch.randn(40, 4, dtype=torch.float64)).Q
    x = {"visual": turn - turn.mean(0), "textual": turn - turn.mean(0)}
    alike = torch.linalg.qr(x["visual"]).Q  # centred, all singular values equal
    caplog.set_level(logging.DEBUG, logger="mmgraph")
    project = refreshed({"visual": alike, "textual": alike})
    project.refresh({"visual": alike, "textual": alike})
    messages = [record.getMessage() for record in caplog.records]
    (warning,) = [text for text in messages if "relative spectral gap" in text]
    text = (
        r"visual: relative spectral gap \d\.\de-\d+ below rank 2: the projection is "
        "not well defined, choose another rank"
    )
    assert re.fullmatch(text, warning)
    assert messages.count("visual: 2 shared directions") == 2


def test_constant_features_are_the_identity_in_value():
    x = {"visual": torch.ones(20, 4), "textual": torch.randn(20, 3)}
    out = refreshed(x)(x)
    assert all(torch.equal(out[m], x[m]) for m in x)


def test_three_modalities_with_different_widths():
    x = features() | {"acoustic": torch.randn(100, 5, dtype=torch.float64)}
    out = refreshed(x)(x)
    assert {m: t.size(1) for m, t in out.items()} == {
        "visual": 8,
        "textual": 6,
        "acoustic": 5,
    }


def test_an_item_without_a_modality_is_projected_with_the_others():
    x = features() | {"acoustic": torch.randn(100, 5, dtype=torch.float64)}
    masks = {m: torch.rand(100) < 0.7 for m in x}
    project = NullSpaceProjection(2, 0.9)
    project.refresh(x, masks=masks)
    for m, out in project(x).items():
        u = project.get_buffer(f"basis_{m}")
        torch.testing.assert_close(out, x[m] - 0.9 * x[m] @ u @ u.T, **TIGHT)
        assert (out - x[m])[~masks[m]].abs().sum(1).min() > 0


def test_errors_name_the_value():
    with pytest.raises(ValueError, match=r"'strength' must be in \[0, 1\] \(got 1.5\)"):
        NullSpaceProjection(2, 1.5)
    with pytest.raises(ValueError, match=r"'rank' must be at least 0 \(got -1\)"):
        NullSpaceProjection(-1, 0.5)
    with pytest.raises(ValueError, match=r"'refresh_every' .* \(got 0\)"):
        NullSpaceProjection(2, 0.5, refresh_every=0)
    with pytest.raises(ValueError, match=r"'energy' must be in \(0, 1\] or null"):
        NullSpaceProjection(2, 0.5, energy=0)
    with pytest.raises(ValueError, match="'weights' must be one of 'equal', 'raw'"):
        NullSpaceProjection(2, 0.5, weights="even")
    with pytest.raises(ValueError, match=r"'rank' must be in \[0, 6\] \(got 7\)"):
        refreshed(features(), rank=7)
    with pytest.raises(ValueError, match=r"'sides' must be .* \(got \['audio'\]\)"):
        refreshed(features(), sides="audio")


def test_repr_shows_rank_and_strength():
    expected = "NullSpaceProjection(rank=2, strength=0.9)"
    assert repr(NullSpaceProjection(2, 0.9)) == expected
    expected = "NullSpaceProjection(energy=0.7, strength=0.9)"
    assert repr(NullSpaceProjection(2, 0.9, energy=0.7)) == expected


def test_moves_with_the_module(device):
    x = features()
    project = refreshed(x).to(device)
    out = project({m: t.to(device) for m, t in x.items()})
    for m, t in refreshed(x)(x).items():
        torch.testing.assert_close(out[m].cpu(), t, **TIGHT)


def test_the_penalty_of_eq_13_chooses_the_rank():
    x = features()
    sigma = torch.linalg.svdvals(cross_covariance(x["visual"], x["textual"]))
    square = (sigma**2).tolist()
    for ratio in (0.0, 0.01, 0.1, 0.5, 1.0):
        price = ratio * sum(square)
        # By search, as the equation says: the smallest of all costs.
        costs = [sum(square[k:]) + price * k for k in range(len(square) + 1)]
        best = min(range(len(costs)), key=lambda k, costs=costs: costs[k])
        project = refreshed(x, penalty=ratio)
        # One direction stays, as with the energy rule.
        assert project.measures["visual/rank"] == min(best, 5)


def test_the_effective_rank_chooses_the_rank():
    x = features()
    project = refreshed(x, effective_rank=True)
    expected = round(project.measures["visual/effective_rank"])
    assert project.measures["visual/rank"] == expected
    assert 1 <= expected < 6
    assert "effective_rank=True" in repr(project)


def test_one_rule_chooses_the_rank():
    with pytest.raises(ValueError, match="one of 'energy', 'penalty' and 'effective"):
        NullSpaceProjection(2, 0.9, energy=0.5, penalty=0.1)


@pytest.mark.parametrize("directions", ["covariance", "canonical"])
def test_a_modality_that_no_item_has_passes_unchanged(directions):
    x = features() | {"acoustic": torch.ones(100, 5)}
    masks = {"acoustic": torch.zeros(100, dtype=torch.bool)}
    options = {"directions": directions, "center_output": True}
    project = NullSpaceProjection(2, 0.9, **options)
    project.refresh(x, masks=masks)
    assert project(x)["acoustic"].equal(x["acoustic"])
    assert not project(x)["visual"].allclose(x["visual"])


def test_canonical_directions_are_those_of_the_correlation_and_vanish():
    x = features()
    x["visual"][:, 0] *= 50  # loud, and no more shared than before
    before = canonical_correlations(x["visual"], x["textual"])
    project = refreshed(x, rank=2, strength=1.0, directions="canonical")
    torch.testing.assert_close(project.sigma_visual, before, rtol=1e-4, atol=1e-5)
    for m, rows in project(x).items():
        basis = getattr(project, f"basis_{m}")
        nothing = torch.zeros(100, 2, dtype=rows.dtype)
        torch.testing.assert_close(rows @ basis, nothing, **TIGHT)
    # What is removed holds the two largest correlations, whole.
    variates = [x[m] @ getattr(project, f"basis_{m}") for m in x]
    held = canonical_correlations(*variates)
    torch.testing.assert_close(held, before[:2], rtol=1e-4, atol=1e-5)
    # The covariance sees the loud column alone.
    loud = refreshed(x, rank=1, strength=1.0).basis_visual
    assert loud[0, 0].abs() > 0.99
    assert project.basis_visual[0].norm() < 0.2
    eye = project.basis_visual.T @ project.basis_visual
    torch.testing.assert_close(eye, torch.eye(2, dtype=eye.dtype), **TIGHT)
