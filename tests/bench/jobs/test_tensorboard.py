from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

from mmgraph.bench.config import run_config
from mmgraph.bench.jobs import tensorboard
from mmgraph.bench.jobs.tensorboard import to_tensorboard
from mmgraph.bench.jobs.watch import unwatched
from mmgraph.bench.source import DataSource
from mmgraph.bench.spec import parse_spec
from mmgraph.bench.training import train_run
from mmgraph.distributed.world import World
from mmgraph.errors import UserError
from mmgraph.files import read_json_lines


def test_every_number_of_the_history_is_there_to_be_read(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = []

    @contextmanager
    def watch(label, seed, epochs):
        yield shown.append

    run = run_config(parse_spec("MF-BPR:embedding_dim=4"), {"epochs": 3})
    train_run(
        run,
        DataSource("synthetic"),
        tmp_path / "run",
        device="cpu",
        watch=to_tensorboard(tmp_path / "board", watch),
    )
    events = EventAccumulator(str(tmp_path / "board" / "MF-BPR:embedding_dim=4-999"))
    events.Reload()
    history = read_json_lines(tmp_path / "run" / "history.jsonl")
    assert len(shown) == len(history) == 3
    assert set(events.Tags()["scalars"]) == set(history[0]) - {"epoch"}
    for name in events.Tags()["scalars"]:
        scalars = [(e.step, pytest.approx(e.value)) for e in events.Scalars(name)]
        assert [(row["epoch"], row[name]) for row in history] == scalars


def test_without_tensorboard_or_a_folder_it_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    pytest.importorskip("tensorboard")
    with pytest.raises(UserError, match="cannot be made"):
        to_tensorboard(tmp_path / "file" / "board", unwatched)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="TensorBoard is not installed - pip install"):
        to_tensorboard(tmp_path / "board", unwatched)


def test_of_several_processes_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "world", lambda: World(1, 2))
    assert to_tensorboard(tmp_path / "board", unwatched) is unwatched
    assert not (tmp_path / "board").exists()
