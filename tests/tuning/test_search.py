from __future__ import annotations

import itertools
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

optuna = pytest.importorskip("optuna")

from mmgraph.bench import experiment  # noqa: E402
from mmgraph.bench.source import DataSource  # noqa: E402
from mmgraph.bench.spec import ModelSpec  # noqa: E402
from mmgraph.errors import UserError  # noqa: E402
from mmgraph.tuning import trials  # noqa: E402
from mmgraph.tuning.search import _run_alone, tune  # noqa: E402
from mmgraph.tuning.space import Interval  # noqa: E402
from mmgraph.tuning.study import open_study  # noqa: E402
from mmgraph.tuning.trials import Search  # noqa: E402

SOURCE = DataSource("synthetic")
SEARCH = Search(
    ModelSpec("MF-BPR"),
    {"lr": Interval(1e-3, 1e-1), "embedding_dim": [4, 8]},
    {"epochs": 2},
    device="cpu",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a search with two trials."""
    folder = tmp_path_factory.mktemp("searches") / "s"
    tune(SEARCH, SOURCE, folder, trials=2)
    return folder


def tried(folder):
    """Options and values of the trials that did not fail."""
    study = open_study(folder)
    return [
        (t.params, t.value, t.state) for t in study.trials if t.state.name != "FAIL"
    ]


def test_the_best_is_the_largest_value_and_can_be_had_again(tmp_path):
    result = tune(SEARCH, SOURCE, tmp_path / "s", trials=4)
    values = [value for _, value, _ in tried(tmp_path / "s")]
    best = result["best"]
    assert result["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    assert best["value"] == max(values)
    assert len(set(values)) > 1
    again = experiment.run_experiment(
        trials.run_config(SEARCH.spec, {**SEARCH.settings, **best["options"]}),
        SOURCE.load()[0],
        data="",
        data_sha256="",
        seed=SEARCH.seed,
        device="cpu",
        test=False,
    )
    assert again.line["metrics"]["valid"]["recall@20"] == best["value"]
    written = json.loads((tmp_path / "s" / "tune.json").read_text())
    written.pop("checksum")
    assert written == json.loads(json.dumps(result))


def test_a_search_that_goes_on_draws_as_one_without_a_break(tmp_path, monkeypatch):
    tune(SEARCH, SOURCE, tmp_path / "whole", trials=8)
    run, calls = trials.run_experiment, itertools.count(1)

    def interrupted(*args, **options):
        if next(calls) == 7:
            raise KeyboardInterrupt
        return run(*args, **options)

    monkeypatch.setattr(trials, "run_experiment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(SEARCH, SOURCE, tmp_path / "broken", trials=8)
    tune(SEARCH, SOURCE, tmp_path / "broken", trials=8, resume=True)
    assert tried(tmp_path / "broken") == tried(tmp_path / "whole")


def test_more_trials_can_be_had_later(tmp_path):
    tune(SEARCH, SOURCE, tmp_path / "s", trials=2)
    first = tried(tmp_path / "s")
    result = tune(SEARCH, SOURCE, tmp_path / "s", trials=3, resume=True)
    assert result["trials"]["complete"] == 3
    assert tried(tmp_path / "s")[:2] == first


def test_another_question_is_not_mixed_in(tmp_path):
    tune(SEARCH, SOURCE, tmp_path / "s", trials=1)
    with pytest.raises(UserError, match="there is a search already - go on with"):
        tune(SEARCH, SOURCE, tmp_path / "s", trials=1)
    other = Search(SEARCH.spec, {"lr": [1e-3]}, SEARCH.settings, device="cpu")
    with pytest.raises(UserError, match="holds a search with another space"):
        tune(other, SOURCE, tmp_path / "s", trials=1, resume=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_in_the_journal_is_seen(finished, tmp_path, seed):
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)
    draw, path = random.Random(seed), folder / "tune.journal"
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"tune\.journal: the journal is damaged"):
        tune(SEARCH, SOURCE, folder, trials=3, resume=True)


def test_a_journal_that_is_none_is_refused_also_before_there_is_a_result(
    finished, tmp_path
):
    folder = tmp_path / "s"
    shutil.copytree(finished, folder)
    (folder / "tune.json").unlink()
    (folder / "tune.journal").write_text("{}\n[]\n")
    with pytest.raises(UserError, match=r"tune\.journal: the journal is damaged"):
        tune(SEARCH, SOURCE, folder, trials=3, resume=True)


def test_several_processes_share_the_trials(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger("mmgraph"), "level", logging.WARNING)
    result = tune(SEARCH, SOURCE, tmp_path / "s", trials=4, jobs=2)
    assert result["trials"]["complete"] == 4
    assert len({trial[0]["lr"] for trial in tried(tmp_path / "s")}) == 4
    assert not list((tmp_path / "s").glob(".*"))
    assert "trial " not in capfd.readouterr().err  # they are as quiet as this one
    assert result["best"]["value"] == max(v for _, v, _ in tried(tmp_path / "s"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_search_goes_on(tmp_path):
    folder = tmp_path / "s"
    code = "import sys; from mmgraph.cli import main; sys.exit(main())"
    words = ["tune", "MF-BPR", "--search", "lr=1e-3..1e-1", "--epochs", "3"]
    words += ["--out", str(folder), "--trials", "500", "--device", "cpu", "--quiet"]
    process = subprocess.Popen([sys.executable, "-c", code, *words])
    try:
        end = time.monotonic() + 120
        while not (folder / "tune.journal").exists() or len(tried(folder)) < 3:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = [trial for trial in tried(folder) if trial[1] is not None]
    settings = {"epochs": 3}
    search = Search(
        ModelSpec("MF-BPR"), {"lr": Interval(1e-3, 1e-1)}, settings, device="cpu"
    )
    result = tune(search, SOURCE, folder, trials=len(before) + 1, resume=True)
    assert tried(folder)[: len(before)] == before
    assert result["trials"]["complete"] + result["trials"]["pruned"] == len(before) + 1


def test_without_optuna_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'mmgraph\[tune\]'"):
        tune(SEARCH, SOURCE, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_cannot_read_the_data_says_so_in_a_line(tmp_path):
    gone = DataSource(str(tmp_path / "gone"))
    with pytest.raises(SystemExit, match=r"^error: .*gone"):
        _run_alone(tmp_path, SEARCH, gone, 1, 1, logging.WARNING)
