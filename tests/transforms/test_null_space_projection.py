from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from mmgraph.functional import suppress
from mmgraph.transforms import NullSpaceProjection


def catalogue(widths, rows=200):
    data = HeteroData()
    data["item"].num_nodes = rows
    shared = torch.randn(rows, 3, dtype=torch.float64)
    for name, width in widths.items():
        mix = torch.randn(3, width, dtype=torch.float64)
        noise = 0.3 * torch.randn(rows, width, dtype=torch.float64)
        data["item"][f"x_{name}"] = shared @ mix + noise + 1
    return data


def projected(x, others, weights, rank, strength):
    """Dense projector from NumPy's SVD of the stacked covariances."""
    centred = x - x.mean(0)
    blocks = []
    for other in others:
        cov = centred.T @ (other - other.mean(0)) / len(x)
        blocks.append(cov / np.linalg.norm(cov) if weights else cov)
    u = np.linalg.svd(np.concatenate(blocks, 1))[0][:, :rank]
    return x @ (np.eye(x.shape[1]) - strength * u @ u.T)


@pytest.mark.parametrize(
    "widths",
    [{"visual": 7, "textual": 5}, {"visual": 7, "textual": 5, "acoustic": 6}],
)
def test_equals_the_dense_projection(widths):
    data = catalogue(widths)
    out = NullSpaceProjection(rank=2, strength=0.9)(data)
    tables = {name: data["item"][f"x_{name}"].numpy() for name in widths}
    for name, x in tables.items():
        others = [table for other, table in tables.items() if other != name]
        want = projected(x, others, len(widths) > 2, 2, 0.9)
        np.testing.assert_allclose(out["item"][f"x_{name}"], want, atol=1e-10)
        assert data["item"][f"x_{name}"] is not out["item"][f"x_{name}"]
        late = torch.from_numpy(x[:3])  # as an item would be that comes later
        alike = suppress(late, out[f"basis_{name}"], 0.9)
        torch.testing.assert_close(alike, out["item"][f"x_{name}"][:3])
        assert f"basis_{name}" not in data


def test_missing_items_have_no_part_in_the_covariance():
    data = catalogue({"visual": 7, "textual": 5})
    mask = torch.rand(200) > 0.2
    data["item"].mask_visual = mask
    data["item"].x_visual[~mask] = 100.0
    out = NullSpaceProjection(rank=2, strength=0.5)(data)
    whole = catalogue({})
    whole["item"].x_visual = data["item"].x_visual[mask]
    whole["item"].x_textual = data["item"].x_textual[mask]
    want = NullSpaceProjection(rank=2, strength=0.5)(whole)
    for name in ("x_visual", "x_textual"):
        torch.testing.assert_close(
            out["item"][name][mask], want["item"][name], atol=1e-10, rtol=0
        )


def test_only_named_modalities_are_compared_and_changed():
    data = catalogue({"visual": 7, "textual": 5, "acoustic": 6})
    transform = NullSpaceProjection(2, 0.9, modalities=["visual", "textual"])
    out = transform(data)
    assert torch.equal(out["item"].x_acoustic, data["item"].x_acoustic)
    pair = catalogue({})
    pair["item"].x_visual = data["item"].x_visual
    pair["item"].x_textual = data["item"].x_textual
    want = NullSpaceProjection(2, 0.9)(pair)
    assert torch.equal(out["item"].x_visual, want["item"].x_visual)


def test_the_union_takes_the_directions_of_every_pair():
    data = catalogue({"visual": 7, "textual": 5, "acoustic": 6})
    out = NullSpaceProjection(2, 1.0, multi="union")(data)
    for a, b in combinations(("visual", "textual", "acoustic"), 2):
        before = torch.cat([data["item"][f"x_{a}"], data["item"][f"x_{b}"]], 1)
        after = torch.cat([out["item"][f"x_{a}"], out["item"][f"x_{b}"]], 1)
        width = data["item"][f"x_{a}"].size(1)
        cov = np.cov(before.numpy().T)[:width, width:]
        u, sigma, _ = np.linalg.svd(cov)
        rest = np.cov(after.numpy().T)[:width, width:]
        assert np.abs(u[:, :2].T @ rest).max() < 1e-9 * sigma[0]
        assert np.linalg.norm(rest, 2) <= sigma[2] * (1 + 1e-9)


def test_strength_zero_and_one_modality_change_nothing():
    data = catalogue({"visual": 7, "textual": 5})
    out = NullSpaceProjection(2, 0.0)(data)
    assert torch.equal(out["item"].x_visual, data["item"].x_visual)
    alone = catalogue({"visual": 7})
    out = NullSpaceProjection(2, 0.9)(alone)
    assert torch.equal(out["item"].x_visual, alone["item"].x_visual)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"\[0, 1\] \(got 1.5\)"):
        NullSpaceProjection(2, 1.5)
    with pytest.raises(ValueError, match=r"'rank' must be at least 0 \(got -1\)"):
        NullSpaceProjection(-1, 0.5)
    with pytest.raises(
        ValueError, match=r"'multi' must be one of 'stacked', 'union' \(got"
    ):
        NullSpaceProjection(2, 0.5, multi="cca")
    data = catalogue({"visual": 7, "textual": 5})
    with pytest.raises(ValueError, match=r"no modality 'audio' \(got \['visual', 't"):
        NullSpaceProjection(2, 0.5, modalities=["visual", "audio"])(data)
    with pytest.raises(ValueError, match=r"\(got 6\)"):
        NullSpaceProjection(6, 0.5)(data)


def test_repr():
    want = "NullSpaceProjection(rank=8, strength=0.9)"
    assert repr(NullSpaceProjection(8, 0.9)) == want
