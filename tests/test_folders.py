from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mmgraph.errors import UserError
from mmgraph.folders import (
    CONTENTS,
    check_content,
    check_contents,
    check_new_folder,
    check_output_file,
    check_output_folder,
    data_files,
    list_contents,
    new_folder,
)
from mmgraph.lock import locked


def make(out: Path, text: str, *, replace: str | None = None) -> None:
    """Make a folder of two files, as ``write_dataset`` does."""
    with new_folder(out, replace=replace) as folder:
        (folder / "a.txt").write_text(text)
        (folder / "b.txt").write_text(text)
        list_contents(folder)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "out"

    def stopped_half_way():
        with new_folder(out) as folder:
            (folder / "a.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_half_way()
    assert not list(out.parent.iterdir())
    with new_folder(out) as folder:
        (folder / "a.txt").write_text("whole")
        assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    message = "out: exists already - choose another folder"
    with pytest.raises(UserError, match=message), new_folder(out):
        pass


def test_a_folder_that_we_made_is_replaced(tmp_path):
    make(tmp_path / "out", "old")
    make(tmp_path / "out", "new", replace="a.txt")
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert sorted(os.listdir(tmp_path / "out")) == ["a.txt", "b.txt", CONTENTS]
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_may_be_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    make(tmp_path / "out", "new", replace="a.txt")
    assert (tmp_path / "out" / "a.txt").read_text() == "new"


def test_a_folder_of_another_kind_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    make(out, "old")
    before = snapshot(tmp_path)
    message = "out: has no export.json: another command made it - choose another"
    with pytest.raises(UserError, match=message):
        check_new_folder(out, replace="export.json")
    with (
        pytest.raises(UserError, match=message),
        new_folder(out, replace="export.json"),
    ):
        pass
    assert snapshot(tmp_path) == before
    (out / "b.txt").unlink()  # what is lost of it does not make it another
    make(out, "new", replace="a.txt")


@pytest.mark.parametrize("reads", ["out", "out/a.txt", "link/a.txt", "beside/a.txt"])
def test_a_folder_with_an_input_is_not_replaced(tmp_path, reads):
    out, beside = tmp_path / "out", tmp_path / "beside"
    make(out, "old")
    (tmp_path / "link").symlink_to(out)
    beside.mkdir()
    (beside / "a.txt").symlink_to(out / "a.txt")
    with pytest.raises(UserError, match="out: holds what this command reads - choose"):
        check_new_folder(out, replace="a.txt", inputs=[tmp_path / reads])
    others = [tmp_path / "outer" / "a.txt", Path("u1,u2" * 5000), Path("a\0b")]
    check_new_folder(out, replace="a.txt", inputs=others)


def test_a_file_that_is_read_is_not_written_over(tmp_path):
    path, link, same = (tmp_path / name for name in ("a.csv", "link.csv", "same.csv"))
    path.write_text("read")
    link.symlink_to(path)
    os.link(path, same)
    for each in (path, link, same):
        message = "a.csv: is read by this command - choose another name"
        with pytest.raises(UserError, match=message):
            check_output_file(path, inputs=[tmp_path / "none.csv", each])
    check_output_file(path, inputs=[Path("u1,u2" * 5000), Path("a\0b"), tmp_path])


def test_files_of_data_are_known_by_their_names(tmp_path):
    names = ["interactions.csv", "a.inter", "visual.NPZ", CONTENTS]
    for name in [*names, "top.csv", "run.json"]:
        (tmp_path / name).touch()
    assert {path.name for path in data_files(tmp_path)} == set(names)
    assert data_files(tmp_path / "top.csv") == []


def of_the_user(out):
    out.mkdir()
    (out / "thesis.txt").write_text("years")


def with_a_file_of_the_user(out):
    make(out, "old")
    (out / "notes.txt").write_text("mine")


def with_a_folder_of_the_user(out):
    make(out, "old")
    (out / "more").mkdir()


def edited(out):
    make(out, "old")
    (out / "a.txt").write_text("edited")


def with_a_link(out):
    make(out, "old")
    (out / "a.txt").rename(out.with_name("elsewhere.txt"))
    (out / "a.txt").symlink_to(out.with_name("elsewhere.txt"))


def with_a_damaged_list(out):
    make(out, "old")
    text = (out / CONTENTS).read_text()
    (out / CONTENTS).write_text(text.replace("a.txt", "c.txt"))


def with_a_list_by_hand(out):
    of_the_user(out)
    (out / CONTENTS).write_text('{"files": {"../thesis.txt": "0"}}')


def a_file(out):
    out.write_text("mine")


def a_link_to_a_folder(out):
    of_the_user(out.with_name("real"))
    out.symlink_to(out.with_name("real"))


def a_link_to_one_that_we_made(out):
    make(out.with_name("real"), "old")
    out.symlink_to(out.with_name("real"))


def a_link_to_nothing(out):
    out.symlink_to("nowhere")


def a_pipe(out):
    os.mkfifo(out)


@pytest.mark.parametrize(
    ("lies_there", "message"),
    [
        (of_the_user, "out: holds 'thesis.txt', which is not from mmgraph - choose"),
        (with_a_file_of_the_user, "out: holds 'notes.txt', which is not from mmgraph"),
        (with_a_folder_of_the_user, "out: holds 'more', which is not from mmgraph"),
        (edited, r"out/a\.txt: was changed since mmgraph made it - choose another"),
        (with_a_link, r"out/a\.txt: was changed since mmgraph made it"),
        (with_a_damaged_list, r"out/mmgraph\.json: damaged: .* - delete mmgraph\.json"),
        (with_a_list_by_hand, r"out/mmgraph\.json: no list of files - delete mmgraph"),
        (a_file, "out: is a file, no folder - choose another folder"),
        (a_link_to_a_folder, "out: is a link, no folder"),
        (a_link_to_one_that_we_made, "out: is a link, no folder"),
        (a_link_to_nothing, "out: is a link, no folder"),
        (a_pipe, "out: is a pipe, no folder"),
    ],
)
def test_nothing_else_is_replaced(tmp_path, lies_there, message):
    lies_there(tmp_path / "out")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=message):
        make(tmp_path / "out", "new", replace="a.txt")
    assert snapshot(tmp_path) == before


def test_a_device_is_not_replaced():
    with pytest.raises(UserError, match="/dev/null: is a device, no folder"):
        check_new_folder(Path("/dev/null"), replace="a.txt")


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    make(out, "old")
    with (
        pytest.raises(UserError, match="holds 'mine', which is not from mmgraph"),
        new_folder(out, replace="a.txt"),
    ):
        (out / "mine").touch()
    assert sorted(os.listdir(out)) == ["a.txt", "b.txt", "mine", CONTENTS]
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    out = tmp_path / "out"
    make(out, "old")
    before = snapshot(tmp_path)
    rename = os.replace

    def refuse(source, target):
        if str(source).endswith("new"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    message = r"out: cannot be written \(No space left on device\) - check space and"
    with pytest.raises(UserError, match=message), new_folder(out, replace="a.txt"):
        pass
    assert snapshot(tmp_path) == before


DIE = """
import os, pathlib, shutil, sys
from pathlib import Path
calls, last = 0, int(sys.argv[2])

def dying(call):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == last:
            os._exit(9)  # as after SIGKILL: nothing is cleaned up
        return call(*args, **kwargs)
    return wrapped

from mmgraph.folders import list_contents, new_folder
with new_folder(Path(sys.argv[1]), replace="a.txt") as folder:
    (folder / "a.txt").write_text("new")
    (folder / "b.txt").write_text("new")
    list_contents(folder)
    for name in ("replace", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
print(calls)
"""


@pytest.mark.parametrize("call", range(1, 9))
def test_a_kill_at_any_point_leaves_the_old_or_the_new(tmp_path, call):
    out = tmp_path / "out"
    make(out, "old")
    words = [sys.executable, "-c", DIE, str(out), str(call)]
    done = subprocess.run(words, capture_output=True, text=True)
    # Two renames, three files and the folder that was replaced, the lock: seven calls.
    assert done.returncode == (9 if call < 8 else 0), done.stderr
    assert call < 8 or done.stdout == "7\n"
    check_contents(out)  # as whoever reads the folder does
    texts = {(out / name).read_text() for name in ("a.txt", "b.txt")}
    assert texts == ({"old"} if call < 3 else {"new"})
    for name in ("a.txt", "b.txt"):
        check_content(out / name)
    make(out, "newer", replace="a.txt")
    assert os.listdir(tmp_path) == ["out"]
    assert (out / "a.txt").read_text() == "newer"


def test_what_another_process_is_replacing_is_not_touched(tmp_path):
    (tmp_path / ".out.mmgraph-old").mkdir()
    with (
        locked(tmp_path / ".out.mmgraph-lock", tmp_path),
        pytest.raises(UserError, match=r"out: process \d+ .* is writing there - wait"),
    ):
        check_contents(tmp_path / "out")
    with (
        locked(tmp_path / ".out.mmgraph-lock", tmp_path),
        pytest.raises(UserError, match=r"out: process \d+ .* is writing there - wait"),
        new_folder(tmp_path / "out"),
    ):
        pass


def test_a_changed_or_missing_file_is_refused_with_the_remedy(tmp_path):
    make(tmp_path / "out", "old")
    (tmp_path / "out" / "more.txt").touch()
    check_contents(tmp_path / "out")
    check_content(tmp_path / "out" / "a.txt")
    check_content(tmp_path / "out" / "more.txt")
    (tmp_path / "out" / "a.txt").write_text("edited")
    message = (
        r"out/a\.txt: damaged, or changed since it was made - copy it again; if it was "
        r"changed on purpose, delete mmgraph\.json"
    )
    with pytest.raises(UserError, match=message):
        check_content(tmp_path / "out" / "a.txt")
    (tmp_path / "out" / "b.txt").unlink()
    with pytest.raises(UserError, match=r"out/b\.txt: is not there any more - copy"):
        check_contents(tmp_path / "out")
    (tmp_path / "out" / CONTENTS).unlink()
    check_contents(tmp_path / "out")
    check_content(tmp_path / "out" / "a.txt")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"files": 5}', b'{"files": {"..": ""}}', b"\xff"]
)
def test_a_list_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / CONTENTS).write_bytes(content)
    with pytest.raises(UserError, match=r"mmgraph\.json: no.* - delete mmgraph\.json"):
        check_contents(tmp_path)


LONG = "x" * 300


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Places where nothing may be written, by name."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "into").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    before = snapshot(tmp_path)
    yield tmp_path
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", r"\.: is the working folder - name a folder of its own"),
        (".", r"\.: is the working folder"),
        ("../work", r"\.\./work: is the working folder"),
        ("/", "/: is the root of all folders"),
        ("../home", r"\.\./home: is your home folder"),
        ("../file", r"\.\./file: is a file, no folder - choose another folder"),
        ("../into", r"\.\./into: is a link, no folder"),
        ("../dangling", r"\.\./dangling: is a link, no folder"),
        ("../pipe", r"\.\./pipe: is a pipe, no folder"),
        ("/dev/null", "/dev/null: is a device, no folder"),
        ("../file/run", r"/file: is no folder - choose another place"),
        ("a\0b", r"'a\\x00b' is no name of a file - choose another name"),
        (LONG, r"xxx: cannot be written \(File name too long\)"),
    ],
)
@pytest.mark.parametrize("door", [check_output_folder, check_new_folder])
def test_places_where_no_folder_is_made_or_filled(places, out, message, door):
    options = {"replace": "a.txt"} if door is check_new_folder else {}
    with pytest.raises(UserError, match=message):
        door(Path(out), **options)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", r"\.: is a folder - choose another place"),
        ("/", "/: is a folder"),
        ("../home", r"\.\./home: is a folder"),
        ("../into", r"\.\./into: is a link - choose another place"),
        ("../dangling", r"\.\./dangling: is a link"),
        ("../pipe", r"\.\./pipe: is a pipe"),
        ("/dev/null", "/dev/null: is a device"),
        ("../file/a.csv", r"/file: is no folder - choose another place"),
        ("a\0b", r"'a\\x00b' is no name of a file"),
        (LONG, r"xxx: cannot be written \(File name too long\)"),
    ],
)
def test_places_where_no_file_is_written(places, out, message):
    with pytest.raises(UserError, match=message):
        check_output_file(Path(out), inputs=[])


def test_a_socket_is_no_place_either(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(UserError, match="s: is a socket"):
            check_output_file(Path("s"), inputs=[])


def test_a_folder_that_may_not_be_written_is_said_before_any_work(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for others than root
    message = "may not be written by this user - choose another place"
    for door in (
        check_output_folder,
        partial(check_output_file, inputs=[]),
        check_new_folder,
    ):
        with pytest.raises(UserError, match=f"{tmp_path}: {message}"):
            door(tmp_path / "out")
    with pytest.raises(UserError, match=f"{tmp_path}: {message}"):
        check_output_folder(tmp_path)


@pytest.mark.parametrize("table", ["interactions.csv", "INTERACTIONS.tsv", "b.inter"])
def test_a_folder_of_data_is_not_filled(tmp_path, table):
    (tmp_path / table).touch()
    with pytest.raises(UserError, match="is a folder of data - choose another folder"):
        check_output_folder(tmp_path, first=["run.json"])
    check_output_folder(tmp_path / "run")
    for name in ("top.parquet", "graph.npz", "a.NPY"):
        message = f"{name}: would be part of the data there - choose another"
        with pytest.raises(UserError, match=message):
            check_output_file(tmp_path / name, inputs=[])
        check_output_file(tmp_path / "graphs" / name, inputs=[])
    check_output_file(tmp_path / "graph.pt", inputs=[])
    check_output_file(tmp_path / "top.csv", inputs=[])


def test_files_of_others_are_not_written_over(tmp_path):
    names = {"first": ["results.jsonl"], "others": ["leaderboard.md", "report.html"]}
    (tmp_path / "log.txt").touch()
    check_output_folder(tmp_path, **names)
    (tmp_path / "report.html").symlink_to("nowhere")
    message = "holds a report.html that is not from this command - choose another"
    with pytest.raises(UserError, match=message):
        check_output_folder(tmp_path, **names)
    (tmp_path / "results.jsonl").touch()
    check_output_folder(tmp_path, **names)


def test_a_link_to_a_folder_may_be_filled(tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "run").symlink_to("large disk")
    check_output_folder(tmp_path / "run")
