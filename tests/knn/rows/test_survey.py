from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.knn.digest import feature_digest
from mmgraph.knn.metric.similarity import row_norms
from mmgraph.knn.rows.row_source import RowSource
from mmgraph.knn.rows.survey import survey


def table():
    x = torch.randn(40, 6) + 1
    x[3] = x[20] = 0
    return x


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_pieces_give_what_the_whole_gives(metric, monkeypatch):
    x = table()
    monkeypatch.setattr(sys.modules["mmgraph.knn.rows.survey"], "_BYTES", 8 * 6 * 7)
    found = survey(RowSource(x), metric)
    assert torch.equal(found.norm, row_norms(x))
    assert found.sha256 == feature_digest(x.numpy())
    kept = x[found.norm > 0].double()
    mean = kept.mean(0)
    radius = float((kept - mean).norm(dim=1).max())
    scale = {"cosine": 1.0, "ip": float(kept.norm(dim=1).max()), "l2": radius}[metric]
    assert found.scale == pytest.approx(scale, rel=1e-12)
    want = mean if metric == "l2" else torch.zeros(6).double()
    torch.testing.assert_close(found.centre, want, rtol=1e-12, atol=1e-15)


def test_the_digest_tells_types_and_values_apart():
    x = table().numpy()
    digests = {survey(RowSource(x.astype(t)), "cosine").sha256 for t in ("f2", "f4")}
    changed = x.astype("f8")
    digests.add(survey(RowSource(changed), "cosine").sha256)
    changed[5, 2] *= 1 + 1e-12  # less than float32 can tell
    digests.add(survey(RowSource(changed), "cosine").sha256)
    assert len(digests) == 4
    swapped = x.astype(">f4")
    assert survey(RowSource(swapped), "cosine").sha256 == feature_digest(x)


def test_norms_out_of_range_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"between 1e-15 and 1e15 \(got 1\.73e\+20\)"):
        survey(RowSource(np.full((2, 3), 1e20)), "l2")
    x = np.ones((9, 2))
    x[7, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(
        UserError, match=r"x\.npy: .* row 7 holds NaN or infinity - mend"
    ):
        survey(RowSource(tmp_path / "x.npy"), "cosine")


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_rows_that_take_no_part_leave_the_survey_of_the_others(metric, monkeypatch):
    monkeypatch.setattr(sys.modules["mmgraph.knn.rows.survey"], "_BYTES", 8 * 6 * 7)
    x = table().double()
    x[5], x[17, 2] = torch.nan, torch.inf
    x[30] = 1e200  # finite, but its length is not
    x[[8, 25]] = x[1].clone()
    x[34] = x[20]  # a second zero row is no copy
    found = survey(RowSource(x), metric, nan="isolate", duplicates="collapse")
    left_out = [3, 5, 8, 17, 20, 25, 30, 34]
    stays = torch.tensor([row not in left_out for row in range(40)])
    assert torch.equal(found.norm > 0, stays)
    assert torch.equal(found.norm[stays], row_norms(x[stays]))
    assert (found.zero_rows, found.nan_rows, found.collapsed_rows) == (3, 3, 2)
    assert found.sha256 == survey(RowSource(x), metric, nan="isolate").sha256
    stays[[8, 25]] = True
    want = survey(RowSource(x[stays]), metric)
    torch.testing.assert_close(found.centre, want.centre, rtol=1e-12, atol=1e-15)
    assert found.scale == pytest.approx(want.scale, rel=1e-12)


def test_a_row_of_zeros_may_be_refused_wherever_it_is(monkeypatch):
    monkeypatch.setattr(sys.modules["mmgraph.knn.rows.survey"], "_BYTES", 8 * 6 * 7)
    x = table()
    x[3] = 1.0  # row 20 is left, in the third piece
    with pytest.raises(ValueError, match=r"^row 20 is zero$"):
        survey(RowSource(x), "cosine", zero="refuse")
    x[20], x[9, 2] = 1.0, torch.nan  # a row that is not finite is none of zeros
    found = survey(RowSource(x), "cosine", nan="isolate", zero="refuse")
    assert (found.zero_rows, found.nan_rows) == (0, 1)


def test_unknown_policies_are_named_before_anything_is_read():
    with pytest.raises(ValueError, match=r"nan must be one of .* \(got 'drop'\)"):
        survey(None, "ip", nan="drop")
    with pytest.raises(ValueError, match=r"duplicates must be .* \(got 'no'\)"):
        survey(None, "ip", duplicates="no")
    with pytest.raises(ValueError, match=r"zero must be .* \(got 'drop'\)"):
        survey(None, "ip", zero="drop")
