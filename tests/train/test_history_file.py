from __future__ import annotations

import pytest
import torch

from mmgraph.errors import UserError
from mmgraph.files import read_json_lines, to_json_line
from mmgraph.models import build_model
from mmgraph.train import Trainer
from mmgraph.train.checkpoint import FILE_NAME, load_checkpoint, save_checkpoint
from mmgraph.train.history_file import HistoryFile

ROWS = [{"epoch": n, "seconds": 0.1 * n, "loss/bpr": 1 / 3 * n} for n in (1, 2, 3)]
FIX = "start again"


def written(path, rows=ROWS):
    """The file of these rows, and its extent after each."""
    file = HistoryFile(path)
    extents = [file.extent()]
    for row in rows:
        file.append(row)
        extents.append(file.extent())
    file.sync()
    return extents


@pytest.mark.parametrize("epochs", range(4))
def test_it_is_cut_to_the_epochs_of_the_checkpoint_and_goes_on(tmp_path, epochs):
    path = tmp_path / "new" / "history.jsonl"
    extents = written(path)
    assert read_json_lines(path) == ROWS
    file = HistoryFile(path)
    assert file.cut(extents[epochs], fix=FIX) == ROWS[:epochs]
    assert file.extent() == extents[epochs]
    for row in ROWS[epochs:]:
        file.append(row)
    assert file.extent() == extents[3]
    assert read_json_lines(path) == ROWS


def test_a_kill_at_any_byte_of_the_next_line_changes_nothing(tmp_path):
    path = tmp_path / "history.jsonl"
    extents = written(path, ROWS[:2])
    whole, following = path.read_bytes(), to_json_line(ROWS[2])
    for length in range(len(following) + 1):
        path.write_bytes(whole + following[:length])
        assert HistoryFile(path).cut(extents[2], fix=FIX) == ROWS[:2]
        assert path.read_bytes() == whole


def test_a_history_that_lacks_lines_or_has_others_is_refused(tmp_path):
    path = tmp_path / "history.jsonl"
    extent = written(path)[3]
    whole = path.read_bytes()
    flipped = [
        whole[:n] + bytes([whole[n] ^ 1 << n % 8]) + whole[n + 1 :]
        for n in range(0, len(whole), 7)
    ]
    for content in [b"", whole[:-1], whole[: len(whole) // 2], *flipped]:
        path.write_bytes(content)
        with pytest.raises(UserError) as error:
            HistoryFile(path).cut(extent, fix=FIX)
        assert str(error.value) == f"{path}: is not that of the checkpoint - {FIX}"
        assert path.read_bytes() == content
    path.unlink()
    with pytest.raises(UserError, match=r"history\.jsonl: cannot be read .No such fi"):
        HistoryFile(path).cut(extent, fix=FIX)


def test_a_new_run_replaces_the_history_of_another(tmp_path):
    path = tmp_path / "history.jsonl"
    written(path)
    written(path, ROWS[:1])
    assert read_json_lines(path) == ROWS[:1]


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    file = HistoryFile(tmp_path / "file" / "history.jsonl")
    for write in (lambda: file.append(ROWS[0]), file.sync):
        with pytest.raises(UserError, match=r"history\.jsonl: cannot be written"):
            write()


# With the trainer -------------------------------------------------------------------


def fit(splits, folder=None, epochs=4, model=None, **options):
    train, val, _ = splits
    torch.manual_seed(0)
    model = model or build_model("MF-BPR", train, embedding_dim=4)
    trainer = Trainer(epochs=epochs, device="cpu", checkpoint_seconds=0)
    history = trainer.fit(model, train, val, checkpoint_dir=folder, **options)
    return history.rows, model.state_dict()


def without_times(rows):
    return [{k: v for k, v in r.items() if not k.startswith("seconds")} for r in rows]


def test_each_epoch_is_there_when_it_is_over(splits, tmp_path):
    path, seen = tmp_path / "own.jsonl", []
    rows, _ = fit(
        splits,
        history_file=path,
        on_epoch=lambda _: seen.append(read_json_lines(path)),
    )
    assert seen == [rows[:n] for n in (1, 2, 3, 4)]


def test_a_checkpoint_does_not_grow_with_the_epochs(splits, tmp_path):
    sizes = []
    fit(
        splits,
        tmp_path,
        epochs=9,
        on_epoch=lambda row: (
            sizes.append((tmp_path / FILE_NAME).stat().st_size)
            if row["epoch"] > 3
            else None
        ),
    )
    assert max(sizes) - min(sizes) < 64  # a row takes some hundred bytes


@pytest.mark.parametrize("checkpoint_holds_rows", [False, True])
def test_a_resume_drops_the_epochs_after_the_checkpoint(
    splits, tmp_path, checkpoint_holds_rows
):
    expected, weights = fit(splits)

    def stop(row):
        if row["epoch"] == 3:
            raise ValueError("as a kill would")

    with pytest.raises(ValueError, match="kill"):
        fit(splits, tmp_path, on_epoch=stop)
    path = tmp_path / "history.jsonl"
    rows = read_json_lines(path)
    assert len(rows) == 3
    tensors, state = load_checkpoint(tmp_path)
    assert state["history"]["epochs"] == 2
    if checkpoint_holds_rows:  # as up to version 0.3
        del state["history"]
        save_checkpoint(tmp_path, tensors, state | {"rows": rows[:2]})
        path.unlink()
    resumed, same = fit(splits, tmp_path, resume=True)
    assert resumed[:2] == rows[:2]
    assert without_times(resumed) == without_times(expected)
    assert read_json_lines(path) == resumed
    assert all(torch.equal(weights[key], same[key]) for key in weights)


@pytest.mark.parametrize("damage", ["gone", "other", "short"])
def test_a_history_that_is_not_that_of_the_checkpoint_ends_a_resume(
    splits, tmp_path, damage
):
    fit(splits, tmp_path, epochs=2)
    path = tmp_path / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] if damage == "short" else lines[1] + lines[0])
    if damage == "gone":
        path.unlink()
    with pytest.raises(UserError) as error:
        fit(splits, tmp_path, resume=True)
    assert error.value.path == path
    assert error.value.fix == f"delete {tmp_path} and start again"


def test_a_new_run_is_never_mixed_with_what_another_left(splits, tmp_path):
    fit(splits, tmp_path)

    def stop(row):
        raise ValueError("as a kill would")

    with pytest.raises(ValueError, match="kill"):  # before its first checkpoint
        fit(splits, tmp_path, on_epoch=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]
    assert len(fit(splits, tmp_path, resume=True)[0]) == 4
