from __future__ import annotations

import os

import pytest

from mmgraph.errors import UserError
from mmgraph.files import (
    append_json_line,
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


@pytest.mark.parametrize("torn", range(1, 9))
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
