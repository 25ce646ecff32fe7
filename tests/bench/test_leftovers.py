from __future__ import annotations

import pytest

from mmgraph.bench.leftovers import clear_leftovers
from mmgraph.files import write_atomic


def test_what_a_killed_write_left_goes_and_all_else_stays(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mmgraph.files.os.unlink", lambda _: None)  # killed: no clean-up
        patch.setattr("mmgraph.files.os.replace", lambda *_: 1 / 0)
        for name in ("run.json", "state.safetensors", "a.npz", "history.jsonl"):
            with pytest.raises(ZeroDivisionError):
                write_atomic(tmp_path / name, "half")
    assert len(list(tmp_path.iterdir())) == 4
    others = ["run.json", ".mine", ".git", ".x.json.short", ".notes.12345678"]
    for name in others:
        (tmp_path / name).write_text("")
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_folder_that_is_not_there_has_none(tmp_path):
    clear_leftovers(tmp_path / "nowhere")
