from __future__ import annotations

import zipfile

import numpy as np
import pytest

from mmgraph.data.formats import budget
from mmgraph.data.formats.budget import check_budget, check_zip, free_memory
from mmgraph.errors import UserError


def zipped(path, sizes, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, size in sizes.items():
            archive.writestr(name, bytes(size))
    return path


def test_parts_are_counted_together_and_only_those_that_are_read(tmp_path):
    path = zipped(tmp_path / "x.npz", dict.fromkeys("abc", 2**27))
    check_zip(path, ["a", "b"])
    with pytest.raises(UserError, match=r"x.npz: a, with 2 more, declares 402653184 b"):
        check_zip(path)


def test_what_is_stored_as_it_is_may_be_as_large_as_its_file(tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole: no disk is taken
    check_budget(path, 2**31)


def test_no_more_than_the_free_memory(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez(path, features=np.ones((100, 100)))
    monkeypatch.setattr(budget, "free_memory", lambda: 10_000)
    with pytest.raises(UserError, match=r"of memory, and 10000 are free - free some"):
        check_zip(path)
    monkeypatch.setattr(budget, "free_memory", lambda: None)
    check_zip(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(tmp_path, method):
    path = zipped(tmp_path / "x.npz", {"a": 100}, method)
    with pytest.raises(UserError, match=rf"x.npz: a is packed by method {method} - s"):
        check_zip(path)


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"PK\x05\x06 torn")
    with pytest.raises(UserError, match=r"x.pt: damaged archive .* - save it again"):
        check_zip(path)


def test_a_container_leaves_less_than_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_CGROUP", tmp_path)
    machine = free_memory()
    for name, text in (
        ("memory.max", "5000"),
        ("memory.current", "3000"),
        ("memory.stat", "anon 2500\ninactive_file 400"),
    ):
        (tmp_path / name).write_text(text)
    assert free_memory() == 2400
    (tmp_path / "memory.max").write_text("max")
    assert machine is None or free_memory() > 2400
