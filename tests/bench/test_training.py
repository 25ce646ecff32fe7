from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from mmgraph.bench import experiment, run_directory
from mmgraph.bench.benchmark import run_benchmark
from mmgraph.bench.config import run_config
from mmgraph.bench.run_directory import load_run, read_info
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import evaluate_run, recommend_run, train_run
from mmgraph.data import write_dataset
from mmgraph.errors import UserError
from mmgraph.files import read_json, read_json_lines
from mmgraph.lock import locked_folder
from mmgraph.models.registry import MODELS
from mmgraph.models.vbpr import VBPR

SETTINGS = {"embedding_dim": 4, "epochs": 2}


@pytest.fixture(scope="module")
def source(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_dataset(*splits, folder)
    return DataSource(str(folder))


def train(source, folder, text="VBPR", settings=SETTINGS, **options):
    run = run_config(parse_spec(text), settings, strict=True)
    return train_run(run, source, folder, device="cpu", **options)


def test_the_run_directory_says_what_is_returned(source, tmp_path):
    info = train(source, tmp_path / "run")
    assert info == read_info(tmp_path / "run")
    assert (info["status"], info["data"], info["epochs"]) == ("finished", "toy", 2)
    for split in ("valid", "test"):
        metrics = evaluate_run(tmp_path / "run", split, device="cpu")
        assert metrics == pytest.approx(info["metrics"][split], abs=1e-6)
    assert "recall@3" in evaluate_run(tmp_path / "run", ks=[3], device="cpu")


def test_the_history_is_there_while_it_trains_and_gone_if_nothing_is_left(
    source, tmp_path
):
    path, seen = tmp_path / "run" / "history.jsonl", []

    @contextmanager
    def watch(*_):
        def count(row):
            seen.append((row["epoch"], len(read_json_lines(path))))
            if row["epoch"] == 2:
                raise UserError("it diverges", "lower lr")

        yield count

    with pytest.raises(UserError, match="it diverges"):
        train(source, tmp_path / "run", watch=watch)
    assert seen == [(1, 1), (2, 2)]
    assert not (tmp_path / "run").exists()
    assert train(source, tmp_path / "run")["epochs"] == len(read_json_lines(path))


def test_the_model_is_built_once_and_that_one_is_trained(source, tmp_path, monkeypatch):
    built, fitted = [], []

    class Counted(VBPR):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            built.append(self)

    original = experiment.Trainer.fit

    def fit(self, model, *args, **kwargs):
        fitted.append(model)
        return original(self, model, *args, **kwargs)

    monkeypatch.setitem(MODELS, "VBPR", Counted)
    monkeypatch.setattr(experiment.Trainer, "fit", fit)
    train(source, tmp_path / "run", settings={"epochs": 1})
    assert len(built) == 1
    assert fitted[0] is built[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reg_weight": -1.0}, "'reg_weight' must be at least 0"),
        ({"epochs": 0}, "'epochs' must be at least 1"),
        ({"monitor": "recall@7"}, "unknown metric of validation 'recall@7'"),
    ],
)
def test_a_mistake_shows_before_anything_is_written(
    source, tmp_path, settings, message
):
    with pytest.raises(UserError, match=message):
        train(source, tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_left_as_it_is(source, tmp_path):
    first = train(source, tmp_path / "run")
    before = {p: p.read_bytes() for p in (tmp_path / "run").glob("*.*")}
    assert train(source, tmp_path / "run", resume=True) == first
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").glob("*.*")}
    with pytest.raises(UserError, match="there is a run already - continue it with"):
        train(source, tmp_path / "run")


@pytest.mark.parametrize("system", ["LightGCN", "FREEDOM+SEA"])
def test_a_finished_run_goes_on_to_more_epochs(source, tmp_path, system):
    longer = SETTINGS | {"epochs": 4, "patience": 99}
    shorter = longer | {"epochs": 2}
    direct = train(source, tmp_path / "direct", system, longer)
    train(source, tmp_path / "run", system, shorter)
    with pytest.raises(UserError, match="other options, another seed or other data"):
        train(source, tmp_path / "run", system, longer)
    on = train(source, tmp_path / "run", system, longer, resume=True)
    for key in ("key", "weights_sha256", "metrics", "epochs", "best_epoch"):
        assert on[key] == direct[key]
    rows = read_json_lines(tmp_path / "run" / "history.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    # Not to fewer, nor with anything else changed.
    for other in (shorter, longer | {"epochs": 6, "lr": 0.5}):
        with pytest.raises(UserError, match="other options"):
            train(source, tmp_path / "run", system, other, resume=True)


LONGER = SETTINGS | {"epochs": 5}


def ending(error, at):
    """Watches a training, and ends it after an epoch; 0: before the first."""

    @contextmanager
    def watch(*_):
        def show(row):
            if row["epoch"] == at:
                raise error

        if not at:
            raise error
        yield show

    return watch


def test_a_longer_run_that_fails_leaves_the_finished_one_as_it_was(source, tmp_path):
    folder = tmp_path / "run"
    first = train(source, folder)
    before = {p: p.read_bytes() for p in folder.glob("*.*")}
    short = ending(UserError("not enough memory", "use smaller dimensions"), at=0)
    with pytest.raises(UserError, match="not enough memory"):
        train(source, folder, settings=LONGER, resume=True, watch=short)
    assert before == {p: p.read_bytes() for p in folder.glob("*.*")}
    assert train(source, folder, resume=True) == first
    assert train(source, folder, settings=LONGER, resume=True)["epochs"] == 5


def test_a_run_can_be_used_until_the_longer_one_has_finished(source, tmp_path):
    folder, direct = (
        tmp_path / "run",
        train(source, tmp_path / "direct", "VBPR", LONGER),
    )
    first, test = train(source, folder), evaluate_run(tmp_path / "run", device="cpu")
    stopped = ending(KeyboardInterrupt(), at=4)
    with pytest.raises(KeyboardInterrupt):
        train(source, folder, settings=LONGER, resume=True, watch=stopped)
    assert len(read_json_lines(folder / "history.jsonl")) == 4
    assert evaluate_run(folder, device="cpu") == test
    again = train(source, folder, resume=True)
    for key in ("key", "metrics", "weights_sha256", "epochs"):
        assert again[key] == first[key]
    with pytest.raises(UserError, match="other options"):  # four epochs are there
        train(source, folder, settings=SETTINGS | {"epochs": 3}, resume=True)
    on = train(source, folder, settings=LONGER, resume=True)
    for key in ("key", "weights_sha256", "metrics", "epochs", "best_epoch"):
        assert on[key] == direct[key]
    assert on.keys() == direct.keys()


def test_a_longer_run_that_was_cut_off_while_it_was_written_goes_on(
    source, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    train(source, folder)
    write = run_directory.write_json

    def killed(path, value):
        if value.get("epochs") == 5:
            raise KeyboardInterrupt
        write(path, value)

    monkeypatch.setattr(run_directory, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        train(source, folder, settings=LONGER, resume=True)
    monkeypatch.undo()
    with pytest.raises(UserError, match="are of the run with more epochs - repeat its"):
        evaluate_run(folder, device="cpu")
    assert train(source, folder, settings=LONGER, resume=True)["epochs"] == 5
    assert evaluate_run(folder, device="cpu")


def test_a_run_without_a_checkpoint_does_not_go_on(source, tmp_path):
    train(source, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoint").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no checkpoint to go on from - train in"):
        train(source, tmp_path / "run", settings=SETTINGS | {"epochs": 3}, resume=True)
    assert evaluate_run(tmp_path / "run", device="cpu")


def test_with_nothing_held_out_every_pair_trains_and_the_run_can_be_used(
    source, tmp_path
):
    everything = replace(source, split="none")
    info = train(everything, tmp_path / "run")
    assert info["metrics"] == {}
    assert info["best_epoch"] == info["epochs"] == 2
    counts = train(source, tmp_path / "other")["counts"]
    assert info["counts"]["train"] == sum(counts[n] for n in ("train", "valid", "test"))
    assert info["counts"]["valid"] == info["counts"]["test"] == 0
    table = recommend_run(tmp_path / "run", tmp_path / "top.csv", k=3, device="cpu")
    assert len(table) == 3 * info["counts"]["users"]
    with pytest.raises(UserError, match=r"no interactions - .*holds nothing out"):
        evaluate_run(tmp_path / "run", device="cpu")
    specs = [parse_spec("MF-BPR")]
    with pytest.raises(UserError, match="nothing is held out to compare or to choose"):
        run_benchmark(specs, everything, tmp_path / "bench", device="cpu")
    assert not (tmp_path / "bench").exists()


def test_test_is_left_alone_where_a_choice_is_to_follow(source, tmp_path):
    info = train(source, tmp_path / "run", test=False)
    assert list(info["metrics"]) == ["valid"]
    assert load_run(tmp_path / "run").info == info


def test_a_run_that_fails_leaves_no_folder_and_is_watched(source, tmp_path):
    seen = []

    @contextmanager
    def watch(label, seed, epochs):
        seen.append((label, seed, epochs))
        yield None

    settings = {**SETTINGS, "lr": 1e30}
    with pytest.raises(UserError, match="not finite"):
        train(source, tmp_path / "run", settings=settings, seed=3, watch=watch)
    assert seen == [("VBPR", 3, 2)]
    assert not (tmp_path / "run").exists()


def test_data_that_were_loaded_are_not_read_again(source, tmp_path, monkeypatch):
    loaded = source.load()
    monkeypatch.setattr(DataSource, "load", None)
    info = train(source, tmp_path / "run", loaded=loaded)
    assert info["data_sha256"] == loaded[1]
    assert read_json(tmp_path / "run" / "run.json") == info


def test_a_folder_in_which_another_trains_is_refused(source, tmp_path):
    with (
        locked_folder(tmp_path),
        pytest.raises(UserError, match=r"process \d+ on .* is writing there - wait"),
    ):
        train(source, tmp_path)
    assert list(tmp_path.iterdir()) == []
