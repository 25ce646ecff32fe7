from __future__ import annotations

import numpy as np
import pytest

from mmgraph.analysis.reproduce.complete_items import complete_items
from mmgraph.analysis.reproduce.experiments.spectrum import clear_figure_5
from mmgraph.errors import UserError


def singular_values(z, rows):
    """Of the dense cross-covariance, by NumPy."""
    a, b = (x.detach().double().numpy()[rows] for x in z.values())
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return np.linalg.svd(a.T @ b / len(a), compute_uv=False)


def test_spectra_are_those_of_the_two_models(make_context, tmp_path):
    settings = {"epochs": 3, "strength": 0.6}
    context = make_context(tmp_path, settings=settings)
    result = clear_figure_5(context)
    assert (result.numbers["rank"], result.numbers["strength"]) == (2, 0.6)
    assert sorted(label for label, _, _ in context.watch.seen) == [
        "CLEAR",
        "CLEAR:strength=0",
    ]
    (pair,) = result.numbers["pairs"]

    rows = complete_items(context).numpy()
    with_, without = (context.fit(name).model for name in ("CLEAR", "CLEAR:strength=0"))
    z = with_.encode_modalities(context.train)
    expected = {
        "trained without": singular_values(
            without.encode_modalities(context.train), rows
        ),
        "before projection": singular_values(z, rows),
        "after projection": singular_values(with_.project(z), rows),
    }
    assert list(pair["singular_values"]) == list(expected)
    for name, values in expected.items():
        found = pair["singular_values"][name]
        np.testing.assert_allclose(found, values, atol=1e-6 * values[0])
        energy = values**2 / (values**2).sum()
        assert pair["head_energy"][name] == pytest.approx(energy[:2].sum(), rel=1e-5)
        entropy = -(energy * np.log(energy + 1e-300)).sum()
        assert pair["effective_rank"][name] == pytest.approx(np.exp(entropy), rel=1e-4)
    before, base = expected["before projection"], expected["trained without"]
    np.testing.assert_allclose(
        pair["undo_ratio"], 0.4**2 * before[:2] / base[:2], rtol=1e-4
    )
    assert pair["theorem_5_relative_error"] < 1e-6

    one, other = (context.fit(name).history for name in ("CLEAR", "CLEAR:strength=0"))
    undo = result.numbers["undo_ratio"]
    assert undo["epoch"] == [1, 2, 3]
    for n in range(3):
        grown = [
            0.4**2 * one[n][key] / other[n][key]
            for key in ("measure/visual/sigma_1", "measure/visual/sigma_2")
        ]
        assert undo["ratio"][n] == pytest.approx(grown, rel=1e-12)
    kept = result.numbers["refreshes"]["trained without"]["textual"]["affinity"]
    assert kept == [row.get("measure/textual/affinity") for row in other]
    assert len(result.figures) == 2


def test_one_side_projects_once(make_context, tmp_path):
    settings = {"strength": 0.6, "sides": "textual"}
    result = clear_figure_5(make_context(tmp_path, settings=settings))
    (pair,) = result.numbers["pairs"]
    spectra = pair["singular_values"]
    before, base = spectra["before projection"], spectra["trained without"]
    grown = [0.4 * before[i] / base[i] for i in range(2)]
    assert pair["undo_ratio"] == pytest.approx(grown, rel=1e-6)
    assert list(result.numbers["refreshes"]["with projection"]) == ["textual"]
    assert result.numbers["undo_ratio"]["ratio"] == [pytest.approx([0.4, 0.4])]


def test_at_rank_zero_there_is_nothing_to_undo(make_context, tmp_path):
    result = clear_figure_5(make_context(tmp_path, settings={"rank": 0}))
    assert result.numbers["undo_ratio"]["ratio"] == [[]]
    assert result.numbers["pairs"][0]["undo_ratio"] == []
    assert "undo" not in result.figures[1].caption


def test_at_strength_zero_nothing_is_taken_away(make_context, tmp_path):
    result = clear_figure_5(make_context(tmp_path, settings={"strength": 0}))
    (pair,) = result.numbers["pairs"]
    spectra = pair["singular_values"]
    assert spectra["before projection"] == spectra["after projection"]
    assert spectra["before projection"] == pytest.approx(spectra["trained without"])
    assert pair["undo_ratio"] == pytest.approx([1.0, 1.0])


def test_both_epochs_are_named_and_the_ratio_at_one(make_context, tmp_path):
    context = make_context(tmp_path, settings={"strength": 0.6})
    result = clear_figure_5(context)
    best = [
        context.fit(name).line["best_epoch"] for name in ("CLEAR", "CLEAR:strength=0")
    ]
    assert f"is {best[0]} with the projection and {best[1]} without" in result.notes[2]
    undo = result.numbers["undo_ratio"]
    end = f"{undo['epoch'][-1]}, the undo ratio of the first direction is "
    assert result.notes[3].endswith(f"{end}{undo['ratio'][-1][0]:.2f}.")


@pytest.mark.parametrize(
    ("name", "value"), [("energy", 0.9), ("effective_rank", True), ("penalty", 0.1)]
)
def test_a_rank_that_is_chosen_by_itself_is_refused(
    name, value, make_context, tmp_path
):
    context = make_context(tmp_path, settings={name: value})
    with pytest.raises(UserError, match=f"about a given rank, and {name} is"):
        clear_figure_5(context)


def test_the_spectra_are_of_what_was_trained_on(make_context, tmp_path):
    """With features on another scale."""
    context = make_context(tmp_path, settings={"feature_scale": "standardized"})
    (pair,) = clear_figure_5(context).numbers["pairs"]
    model = context.fit("CLEAR").model
    z = model.encode_modalities(model.add_graphs(context.train))
    rows = complete_items(context).numpy()
    expected, found = singular_values(z, rows), pair["singular_values"]
    np.testing.assert_allclose(
        found["before projection"], expected, atol=1e-6 * expected[0]
    )
