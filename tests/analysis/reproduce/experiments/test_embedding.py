from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import silhouette_score

from mmgraph.analysis.reproduce.complete_items import complete_items
from mmgraph.analysis.reproduce.experiments.embedding import (
    clear_figure_6,
    sea_figure_5,
    sea_figure_6,
)
from mmgraph.errors import UserError
from mmgraph.functional.redundancy.divergence import sliced_wasserstein


def test_modalities_before_and_after_the_projection(make_context, tmp_path):
    context = make_context(tmp_path, grid={"items": [40]}, settings={"strength": 1.0})
    result = clear_figure_6(context)
    (figure,) = result.figures
    assert result.numbers["items"] == 40
    assert len(figure.data.rows) == 2 * 2 * 40
    model = context.fit("CLEAR").model
    chosen = torch.randperm(
        len(complete_items(context)), generator=torch.Generator().manual_seed(999)
    )[:40]
    rows = complete_items(context)[chosen]
    with torch.no_grad():
        z = model.encode_modalities(context.train)
        stages = {"before projection": z, "after projection": model.project(z)}
    for stage, tables in stages.items():
        (entry,) = result.numbers["stages"][stage]
        expected = sliced_wasserstein(*(x[rows] for x in tables.values()))
        assert entry["swd_raw"] == pytest.approx(expected, rel=1e-5)
        points = [row for row in figure.data.rows if row[0] == stage]
        at = {m: torch.tensor([r[2:] for r in points if r[1] == m]) for m in z}
        plane = sliced_wasserstein(*(x.double() for x in at.values()))
        assert entry["swd_plane"] == pytest.approx(plane, rel=1e-3)
    assert figure.image.startswith(b"<?xml")


def test_parts_of_sea_are_its_heads_and_maps(make_context, tmp_path):
    context = make_context(tmp_path, grid={"items": [30]})
    result = sea_figure_6(context)
    (figure,) = result.figures
    names = ["generic, visual", "generic, textual", "unique, visual", "unique, textual"]
    assert list(dict.fromkeys(row[1] for row in figure.data.rows)) == names
    assert len(figure.data.rows) == 2 * 4 * 30
    model, rows = context.fit("SEA").model, complete_items(context)
    model.separate.heads.train()
    with torch.no_grad():
        z = model.encode_modalities(context.train)
        heads, uniques, cosines = [], [], []
        for m, x in z.items():
            half = x.size(1) // 2
            heads.append(model.separate.heads[m](x[:, :half])[rows])
            generic = model.separate.maps_generic[m](x[:, :half])[rows]
            unique = model.separate.maps_unique[m](x[:, half:])[rows]
            uniques.append(unique)
            cosines.append(F.cosine_similarity(generic, unique).mean())
    entry = result.numbers["stages"]["after training"]
    alignment = (heads[0] * heads[1]).sum(dim=1).mean()
    assert entry["alignment"] == pytest.approx(float(alignment), abs=1e-6)
    found = [part["cosine"] for part in entry["information"].values()]
    assert found == pytest.approx([float(c) for c in cosines], abs=1e-6)
    drawn = [*heads, *uniques]  # what is said of sets is said of those in the picture
    points = F.normalize(torch.cat(drawn), dim=1).numpy()
    member = np.arange(4).repeat(len(rows))
    silhouette = silhouette_score(points, member)
    assert entry["silhouette"] == pytest.approx(float(silhouette), abs=1e-6)
    assert entry != result.numbers["stages"]["before training"]


def test_parts_of_micro_add_up_to_its_views(make_context, tmp_path):
    context = make_context(tmp_path, grid={"items": [30]})
    result = sea_figure_5(context)
    names = ["shared", "specific, visual", "specific, textual"]
    assert list(dict.fromkeys(row[1] for row in result.figures[0].data.rows)) == names
    model, rows = context.fit("MICRO@released").model, complete_items(context)
    with torch.no_grad():
        views = model.smooth_items(model.add_graphs(context.train))
        shared = model.fuse(views)
    cosines = [
        F.cosine_similarity(shared[rows], (v - shared)[rows]).mean() for v in views
    ]
    entry = result.numbers["stages"]["after training"]
    assert entry["alignment"] is None
    assert "alignment" not in result.tables[0].columns  # one part has none
    assert len(result.tables) == 1  # nor an estimator
    found = [part["cosine"] for part in entry["information"].values()]
    assert found == pytest.approx([float(c) for c in cosines], abs=1e-6)
    # What two views have beyond their mean points in opposite directions.
    assert found[0] == pytest.approx(-found[1], abs=1e-6)


def test_the_fit_of_the_estimator_is_that_of_the_history(make_context, tmp_path):
    settings = {"epochs": 3}
    context = make_context(tmp_path, grid={"items": [30]}, settings=settings)
    result = sea_figure_6(context)
    rows = context.fit("SEA").history
    assert list(result.numbers["estimator"]) == ["visual", "textual"]
    for name, fit in result.numbers["estimator"].items():
        clamped = [row[f"measure/{name}/clamped"] for row in rows]
        assert fit == {
            "clamped_first": clamped[0],
            "clamped_after": sum(clamped[1:]) / 2,
            "own": rows[-1][f"measure/{name}/bound_own"],
            "refitted": rows[-1][f"measure/{name}/bound_refitted"],
        }
    assert [row[0] for row in result.tables[1].rows] == ["visual", "textual"]
    assert any(note.startswith("Clamped:") for note in result.notes)


def test_information_that_is_infinite_is_called_so(make_context, tmp_path):
    """48 features make 64 columns: one part determines directions of the other."""
    settings = {"encoder_dim": 64}
    context = make_context(tmp_path, grid={"items": [30]}, settings=settings)
    assert context.train["item"].x_textual.size(1) == 48
    result = sea_figure_6(context)
    entry = result.numbers["stages"]["after training"]["information"]
    row = dict(zip(result.tables[0].columns, result.tables[0].rows[1], strict=True))
    assert row["Gaussian MI, visual"] == entry["visual"]["gaussian"] > 0
    assert entry["textual"]["gaussian"] is None
    assert row["Gaussian MI, textual"] == "infinite"


def test_parts_of_micro_in_the_fidelity_that_is_asked_for(make_context, tmp_path):
    context = make_context(tmp_path, grid={"items": [30]}, fidelity="paper")
    result = sea_figure_5(context)
    assert result.numbers["system"] == "MICRO"
    assert "in MICRO, " in result.figures[0].caption
    assert [label for label, _, _ in context.watch.seen] == ["MICRO"]
    assert context.fit("MICRO").model.fidelity == "paper"


def test_a_variant_without_maps_is_refused(make_context, tmp_path):
    context = make_context(tmp_path, grid={"items": [30]}, settings={"variant": "b"})
    with pytest.raises(
        UserError, match="leave variant at a or c and split_at at encoder"
    ):
        sea_figure_6(context)
