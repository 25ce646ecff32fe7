from __future__ import annotations

import pytest
import torch

from mmgraph.analysis.reproduce.trace import Trace, traces, undo_ratios
from mmgraph.data import synthetic
from mmgraph.models import CLEAR
from mmgraph.train import Trainer


def row(epoch, **by_modality):
    """A row of a history; a modality gives rank, singular values and affinity."""
    out = {"epoch": epoch, "loss/bpr": 0.5, "valid/recall@20": 0.1}
    for modality, (rank, sigma, affinity) in by_modality.items():
        measures = {"rank": rank, "head_energy": 0.75, "effective_rank": 2.5}
        measures |= {f"sigma_{i}": value for i, value in enumerate(sigma, 1)}
        if affinity is not None:
            measures["affinity"] = affinity
        out |= {f"measure/{modality}/{name}": v for name, v in measures.items()}
    return out


def test_a_history_is_sorted_by_modality_and_refresh():
    found = traces(
        [
            row(1, visual=(2, [3.0, 1.0], None), text=(2, [3.0, 1.0], None)),
            row(2),
            row(3, visual=(1, [4.0, 1.0], 0.9), text=(1, [4.0, 1.0], 0.8)),
        ]
    )
    assert list(found) == ["visual", "text"]
    expected = Trace(
        [1, 3], [2, 1], [0.75] * 2, [2.5] * 2, [None, 0.8], [[3.0, 1.0], [4.0, 1.0]]
    )
    assert found["text"] == expected
    assert found["visual"].affinity == [None, 0.9]
    assert len(found["visual"]) == 2


def test_a_history_without_refreshes_has_no_traces():
    assert traces([row(1), row(2)]) == {}


def run(*rows):
    return traces(
        [row(n, v=(*found, None), t=(*found, None)) for n, found in enumerate(rows, 1)]
    )


def test_the_undo_ratio_is_that_of_its_formula_epoch_by_epoch():
    with_ = run((2, [4.0, 2.0, 1.0]), (1, [6.0, 3.0, 1.0]), (3, [9.0, 6.0, 3.0]))
    without = run((2, [2.0, 4.0, 1.0]), (2, [3.0, 1.0, 0.0]))
    undo = undo_ratios(with_, without, 0.9)
    assert undo.epoch == [1, 2]  # the other run stopped there
    assert undo.ratio[0] == pytest.approx([0.01 * 4 / 2, 0.01 * 2 / 4], rel=1e-12)
    assert undo.ratio[1] == pytest.approx([0.01 * 6 / 3], rel=1e-12)  # one direction
    one_sided = undo_ratios(with_, without, 0.9, sides="v")
    assert one_sided.ratio[1] == pytest.approx([0.1 * 6 / 3], rel=1e-12)


def test_a_direction_that_was_not_there_cannot_grow():
    with_, without = run((2, [4.0, 2.0])), run((2, [4.0, 0.0]))
    assert undo_ratios(with_, without, 0.0).ratio == [[1.0, None]]


def test_three_modalities_and_runs_without_refreshes_have_no_ratio():
    pair = run((1, [1.0]))
    three = {**pair, "acoustic": pair["v"]}
    assert undo_ratios(three, three, 0.5).epoch == []
    assert undo_ratios(pair, {}, 0.5).epoch == []


def test_measures_of_seas_bounds_are_no_refreshes():
    sea = {"measure/visual/clamped": 0.0, "measure/visual/bound": 3.0}
    refresh = {"rank": 2, "head_energy": 0.5, "effective_rank": 3.0, "sigma_1": 1.0}
    clear = {f"measure/visual/{name}": value for name, value in refresh.items()}
    rows = [{"epoch": 1, **sea}, {"epoch": 2, **sea, **clear}]
    assert traces(rows)["visual"].epoch == [2]
    assert traces(rows[:1]) == {}


def test_training_grows_what_is_damped_unless_its_gradient_stops():
    """The undo ratio on a planted catalogue: the paper's form, and the one here."""
    train, valid, _, _ = synthetic(num_users=300, num_items=200)
    runs = {
        "without": {"strength": 0.0},
        "usual": {"strength": 0.9},
        "stopped": {"strength": 0.9, "stop_gradient": True},
    }
    found = {}
    for name, options in runs.items():
        torch.manual_seed(1)
        model = CLEAR.from_data(train, rank=4, embedding_dim=16, **options)
        sizes = {"epochs": 12, "eval_every": 12, "batch_size": 512}
        trainer = Trainer(seed=1, device="cpu", lr=1e-2, **sizes)
        found[name] = traces(trainer.fit(model, train, valid).rows)
    ratios = {
        name: undo_ratios(found[name], found["without"], 0.9).ratio
        for name in ("usual", "stopped")
    }
    for ratio in ratios.values():  # of the same encoders nothing is undone
        assert ratio[0] == pytest.approx([0.01] * 4, rel=1e-6)
    # Seven times and more of what is left by the projection, against nothing much.
    assert min(ratios["usual"][-1]) > 0.05
    assert max(ratios["stopped"][-1]) < 0.015
