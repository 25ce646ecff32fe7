from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mmgraph import files
from mmgraph.errors import UserError
from mmgraph.files import (
    append_json_line,
    check_file,
    clear_temporary,
    kind_of,
    read_json,
    read_json_lines,
    to_json_lines,
    write_atomic,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def refuse(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match=r"a\.txt: cannot be written \(disk full\)"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_written_files_have_ordinary_rights(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"a": 1})
    (tmp_path / "plain").write_text("")
    rights = [p.stat().st_mode for p in (tmp_path / "deep/a.json", tmp_path / "plain")]
    assert rights[0] == rights[1]


@pytest.mark.parametrize("torn", range(2, 9))
def test_a_line_torn_at_any_byte_is_dropped_and_overwritten(tmp_path, torn):
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"a": 1})
    append_json_line(path, {"b": 2})
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn])
    assert read_json_lines(path) == [{"a": 1}]
    append_json_line(path, {"c": 3})
    assert read_json_lines(path) == [{"a": 1}, {"c": 3}]


def test_a_missing_file_has_no_lines(tmp_path):
    assert read_json_lines(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"garbage", "not JSON: .* - delete the row"),
        (b"\xff\xfe", "not JSON: "),
        (b"[1]", "not a JSON object - "),
        (b"{}", "the line has no 'a' - "),
    ],
)
def test_a_line_that_is_none_is_told_with_its_row(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b'\n{"a": 2}\n')
    with pytest.raises(UserError, match=rf"a\.jsonl:3: {message}"):
        read_json_lines(path, needed=["a"])


def test_json_lines_read_back(tmp_path):
    rows = [{"epoch": 1, "loss": 1 / 3}, {"epoch": 2, "name": "ä\n"}]
    (tmp_path / "a.jsonl").write_bytes(to_json_lines(rows))
    assert read_json_lines(tmp_path / "a.jsonl") == rows


def flipped(content: bytes):
    """The content with each of its bits flipped, one at a time."""
    for place in range(len(content)):
        for bit in range(8):
            yield (
                content[:place]
                + bytes([content[place] ^ 1 << bit])
                + content[place + 1 :]
            )


def test_any_flipped_bit_of_json_is_refused(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    for content in flipped(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.json: "):
            read_json(path)


def test_any_flipped_bit_of_json_lines_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    for content in flipped(to_json_lines([{"a": 1}, {"b": 2}])):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.jsonl:[123]: "):
            read_json_lines(path)


def test_nothing_is_appended_after_a_damaged_line_break(tmp_path):
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"a": 1})
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(UserError, match=r"a\.jsonl:1: its line break is damaged"):
        append_json_line(path, {"a": 2})


def test_json_without_a_checksum_is_read_as_it_is(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"[1]", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json: not (JSON|a JSON object)"):
        read_json(tmp_path / "a.json")


def test_a_huge_integer_is_refused_before_anything_is_computed_with_it(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1' + "0" * 400 + "}")
    with pytest.raises(UserError, match=r"a\.json: not JSON: an integer of 401 digits"):
        read_json(tmp_path / "a.json")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(UserError, match=r"a\.jsonl: cannot be read \(Is a directory"):
        read_json_lines(tmp_path / "a.jsonl")


def test_a_fault_is_told_with_its_row(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:3: too large - delete the row"):
        read_json_lines(
            tmp_path / "a.jsonl", fault_of=lambda x: "too large" if x["a"] > 1 else None
        )


WRITERS = {
    "write_atomic": lambda path: write_atomic(path, "new"),
    "write_json": lambda path: write_json(path, {"a": 1}),
    "append_json_line": lambda path: append_json_line(path, {"a": 1}),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "device"])
def test_what_is_no_file_is_not_replaced(tmp_path, write, kind):
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "target")
        (tmp_path / "target").write_text("mine")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/full")
    before = path.lstat()
    with pytest.raises(UserError, match=f"{path}: is a {kind} - choose another place"):
        write(path)
    assert path.lstat() == before
    assert kind != "link" or (tmp_path / "target").read_text() == "mine"


def test_the_names_of_what_is_no_file():
    for mode in (stat.S_IFSOCK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFREG):
        assert kind_of(mode) in ("a socket", "a device", "a file")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("call", ["write", "fsync", "mkdir", "replace", "mkstemp"])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path, monkeypatch, write, call
):
    append_json_line(tmp_path / "a", {"old": 1})
    before = (tmp_path / "a").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    places = {
        "write": (files, "_write_all"),
        "fsync": (os, "fsync"),
        "mkdir": (type(tmp_path), "mkdir"),
        "replace": (os, "replace"),
        "mkstemp": (files.tempfile, "mkstemp"),
    }
    monkeypatch.setattr(*places[call], full)
    if write is WRITERS["append_json_line"] and call in ("replace", "mkstemp"):
        return  # it does not come by there
    message = r"/a: cannot be written \(No space left on device\) - check space and"
    with pytest.raises(UserError, match=message):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before
    assert os.listdir(tmp_path) == ["a"]


@pytest.fixture
def small_files():
    """A limit of the size of files, as a quota: a write stops in its middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_stops_in_its_middle_leaves_nothing(tmp_path, small_files):
    append_json_line(tmp_path / "a.jsonl", {"a": 1})
    whole = (tmp_path / "a.jsonl").read_bytes()
    assert len(whole) < 300 < 2 * len(whole) + 100
    with pytest.raises(UserError, match=r"a\.jsonl: cannot be written \(File too"):
        append_json_line(tmp_path / "a.jsonl", {"a": "x" * 300})
    assert (tmp_path / "a.jsonl").read_bytes() == whole
    for write in (write_json, append_json_line):
        with pytest.raises(UserError, match=r"b\.json: cannot be written \(File too"):
            write(tmp_path / "b.json", {"a": "x" * 300})
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_what_a_killed_writer_left_is_cleared_and_a_living_one_is_not(tmp_path):
    (tmp_path / ".a.txt.x1y2z3_4.mmgraph-part").write_text("half")
    (tmp_path / ".mine.txt.part").write_text("keep")
    (tmp_path / ".folder.mmgraph-part").mkdir()
    (tmp_path / ".link.mmgraph-part").symlink_to("elsewhere")
    with open(tmp_path / ".b.txt.x1y2z3_4.mmgraph-part", "wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        write_atomic(tmp_path / "c.txt", "new")
        assert sorted(os.listdir(tmp_path)) == [
            ".b.txt.x1y2z3_4.mmgraph-part",
            ".folder.mmgraph-part",
            ".link.mmgraph-part",
            ".mine.txt.part",
            "c.txt",
        ]
    clear_temporary(tmp_path)
    assert ".b.txt.x1y2z3_4.mmgraph-part" not in os.listdir(tmp_path)


def test_a_kill_while_writing_leaves_the_old_file_and_no_debris_for_long(tmp_path):
    write_atomic(tmp_path / "a.txt", "old")
    code = (
        "import os, sys; from pathlib import Path; from mmgraph import files\n"
        "os.fsync = lambda _: os._exit(9)\n"
        "files.write_atomic(Path(sys.argv[1]), 'new')"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    assert subprocess.run(words).returncode == 9
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(os.listdir(tmp_path)) == 2
    write_atomic(tmp_path / "b.txt", "new")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_a_file_that_another_clears_too_early_is_written_again(tmp_path, monkeypatch):
    make, made = files.tempfile.mkstemp, []

    def cleared(*args):
        handle, temporary = make(*args)
        made.append(temporary)
        if len(made) == 1:
            os.unlink(temporary)
        return handle, temporary

    monkeypatch.setattr(files.tempfile, "mkstemp", cleared)
    write_atomic(tmp_path / "a.txt", "new")
    assert len(made) == 2
    assert (tmp_path / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_where_nothing_can_be_locked_files_are_written_and_nothing_is_cleared(
    tmp_path, monkeypatch
):
    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / ".a.txt.x1y2z3_4.mmgraph-part").write_text("half")
    write_atomic(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert len(os.listdir(tmp_path)) == 2


def test_many_writers_of_one_folder_lose_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from mmgraph.files import write_json\n"
        "for n in range(60): write_json(Path(sys.argv[1]) / f'{n % 5}.json', {'n': n})"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(words) for _ in range(3)]
    assert [process.wait() for process in both] == [0, 0, 0]
    assert sorted(os.listdir(tmp_path)) == [f"{n}.json" for n in range(5)]
    assert all(read_json(tmp_path / f"{n}.json") for n in range(5))


def test_appending_reads_the_end_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    with open(path, "wb") as file:
        for n in range(4000):
            file.write(json.dumps({"n": n, "text": "x" * 100}).encode() + b"\n")
    monkeypatch.setattr(files, "_CHUNK", 64)
    reads = []
    monkeypatch.setattr(type(path), "read_bytes", lambda *_: reads.append(1))
    append_json_line(path, {"n": 4000})
    assert reads == []
    monkeypatch.undo()
    assert len(read_json_lines(path)) == 4001


@pytest.mark.parametrize("chunk", [1, 7, 64, 2**16])
@pytest.mark.parametrize("last", [b"", b"\n", b"x", b"x" * 500, b"\n\n", b"{}\n" * 9])
def test_the_end_of_whole_lines_is_that_of_the_whole_file(
    tmp_path, monkeypatch, chunk, last
):
    path = tmp_path / "a.jsonl"
    content = b'{"a": 1}\n' * 3 + last
    path.write_bytes(content)
    monkeypatch.setattr(files, "_CHUNK", chunk)
    append_json_line(path, {"b": 2})
    whole = content[: content.rfind(b"\n") + 1]
    assert path.read_bytes().startswith(whole + b'{"b": 2')


def test_a_damaged_line_break_far_down_is_told_with_its_row(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    for n in range(9):
        append_json_line(path, {"n": n})
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    monkeypatch.setattr(files, "_CHUNK", 16)
    with pytest.raises(UserError, match=r"a\.jsonl:9: its line break is damaged"):
        append_json_line(path, {"n": 9})


def test_an_ordinary_place_is_no_fault(tmp_path):
    check_file(tmp_path / "not" / "there" / "yet.txt")
    (tmp_path / "there.txt").touch()
    check_file(tmp_path / "there.txt")


def test_a_line_is_kept_where_an_interruption_comes_after_it(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        append_json_line(tmp_path / "a.jsonl", {"a": 1})
    assert read_json_lines(tmp_path / "a.jsonl") == [{"a": 1}]


def test_a_whole_last_line_without_its_break_is_read(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"a": 1})
    append_json_line(path, {"b": 2})
    path.write_bytes(path.read_bytes()[:-1])
    assert read_json_lines(path) == [{"a": 1}, {"b": 2}]
    append_json_line(path, {"c": 3})
    assert read_json_lines(path) == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert path.read_bytes().count(b"\n") == 3
    assert not caplog.records


@pytest.mark.parametrize("torn", range(2, 9))
def test_a_torn_last_line_is_said(tmp_path, caplog, torn):
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"a": 1})
    append_json_line(path, {"b": 2})
    path.write_bytes(path.read_bytes()[:-torn])
    assert read_json_lines(path) == [{"a": 1}]
    assert caplog.messages == [f"{path}: its last line is torn and left out"]


def test_an_interruption_after_the_renaming_is_passed_on(tmp_path, monkeypatch):
    replace = os.replace

    def interrupted(*names):
        replace(*names)
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
