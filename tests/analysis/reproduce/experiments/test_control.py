from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmgraph.analysis.compare import compare_systems
from mmgraph.analysis.per_user import PerUserMetrics
from mmgraph.analysis.reproduce.experiments.control import control, control_verdict
from mmgraph.bench.config import run_config
from mmgraph.bench.experiment import run_experiment
from mmgraph.bench.spec import parse_spec
from mmgraph.data import load_dataset
from mmgraph.errors import UserError

INPUTS = ["true", "shuffled", "zero", "visual alone", "textual alone"]


def run(make_context, folder, *, model="VBPR", keep=1, seeds=(1, 2), **options):
    context = make_context(folder, seeds=seeds, grid={"keep_graph": [keep]}, **options)
    return control(replace(context, model=model)), context


def results(folder, name):
    path = folder if name == "true" else folder / "control" / name.replace(" ", "-")
    lines = [json.loads(line) for line in (path / "results.jsonl").open()]
    return [line for line in lines if line["seed"] is not None]


def test_every_input_is_the_same_system_on_other_features(make_context, tmp_path):
    result, context = run(make_context, tmp_path)
    assert list(result.numbers["inputs"]) == INPUTS
    true = results(tmp_path / "runs", "true")
    for name, entry in result.numbers["inputs"].items():
        lines = results(tmp_path / "runs", name)
        assert [line["seed"] for line in lines] == [1, 2]
        recalls = [line["metrics"]["test"]["recall@20"] for line in lines]
        assert entry["mean"] == pytest.approx(np.mean(recalls))
        for line in lines:
            assert line["options"] == true[0]["options"]
            assert line["trainer"] == true[0]["trainer"]
    assert [row[0] for row in result.tables[0].rows] == INPUTS
    # the context's own data are as they were
    assert context.train["item"].x_visual.any()


@pytest.mark.parametrize("name", ["shuffled", "zero", "visual alone"])
def test_the_features_are_replaced_by_hand(make_context, toy, tmp_path, name):
    """The same run, with features that a test replaced itself."""
    _, context = run(make_context, tmp_path, seeds=(1,))
    (line,) = results(tmp_path / "runs", name)
    splits = load_dataset(toy[0].data)
    item = splits[0]["item"]
    x = {m: item[f"x_{m}"].clone() for m in ("visual", "textual")}
    mask = {m: item[f"mask_{m}"].clone() for m in x if f"mask_{m}" in item}
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    for split in splits:
        for m in x:
            if name == "shuffled":
                split["item"][f"x_{m}"] = x[m][order]
                if m in mask:
                    split["item"][f"mask_{m}"] = mask[m][order]
            elif name == "zero" or m == "textual":
                split["item"][f"x_{m}"] = torch.zeros_like(x[m])
    done = run_experiment(
        run_config(parse_spec("VBPR"), context.settings),
        splits,
        data="toy",
        data_sha256="",
        seed=1,
        device="cpu",
    )
    assert done.line["metrics"]["test"] == pytest.approx(line["metrics"]["test"])


def test_a_kept_item_graph_is_that_of_the_true_features(make_context, tmp_path):
    """FREEDOM's scores read the graph alone where its features have no weight."""
    options = {"settings": {"reg_weight": 0.0, "edge_drop": 0.0}, "seeds": (1,)}
    kept, _ = run(make_context, tmp_path / "kept", model="FREEDOM", **options)
    new, _ = run(make_context, tmp_path / "new", model="FREEDOM", keep=0, **options)

    def recalls(result):
        return [entry["mean"] for entry in result.numbers["inputs"].values()]

    assert recalls(kept) == [recalls(kept)[0]] * 5
    assert recalls(new)[0] == recalls(kept)[0]
    assert len(set(recalls(new))) > 1
    assert "item graph, where the system has one, is that of" in kept.paragraphs[2]
    assert "Item graphs are built from the replaced" in new.paragraphs[2]


def test_what_was_trained_is_found_again(make_context, tmp_path):
    run(make_context, tmp_path)
    _, context = run(make_context, tmp_path)
    assert context.watch.seen == []


def compared(*changes):
    rng = np.random.default_rng(0)
    base = rng.random((3, 400))
    names = ["true", "shuffled", "zero"]
    values = [base, *(base + c + rng.normal(0, 0.05, base.shape) for c in changes)]
    systems = [
        PerUserMetrics(name, (1, 2, 3), np.arange(400), {"recall@20": v})
        for name, v in zip(names, values, strict=True)
    ]
    return compare_systems(systems)


def test_a_loss_by_shuffling_says_that_the_data_can_tell():
    text = control_verdict("VBPR", compared(-0.1, -0.1))
    assert text.startswith("Shuffled features cost recall (-0.1")
    assert text.endswith("these data can tell that VBPR uses what its features say.")


def test_a_tie_says_that_they_cannot_and_what_would_have_been_seen():
    rows = compared(0.0, 0.05)
    text = control_verdict("CLEAR", rows)
    assert "the data cannot tell what CLEAR makes of its features" in text
    seen = f"{rows[1].difference.detectable:.4f}"
    missed = "would be missed in more than one of five experiments like this one."
    assert f"A loss below {seen} {missed}" in text
    assert text.endswith("No worse than the true ones, either: zero.")


def test_a_gain_is_no_tie_and_one_seed_is_said():
    text = control_verdict("CLEAR", compared(0.2, 0.05))
    assert text.startswith("Shuffled features are better than the true ones (+0.")
    assert "tie" not in text
    assert "one seed" not in text
    rows = compared(0.2, 0.05)
    single = [replace(row, seeds=row.seeds[:1]) for row in rows]
    assert "one seed, so that the noise of training is not in it" in control_verdict(
        "CLEAR", single
    )


def test_data_without_features_are_refused(make_context, toy, tmp_path):
    source, splits, sha256 = toy
    bare = tuple(split.clone() for split in splits)
    for split in bare:
        for key in [k for k in split["item"] if k.startswith(("x_", "mask_"))]:
            del split["item"][key]
    with pytest.raises(UserError, match="this experiment compares modalities"):
        run(make_context, tmp_path, data=(source, bare, sha256))
