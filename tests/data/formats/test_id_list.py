from __future__ import annotations

import numpy as np
import pytest

from mmgraph.data.formats.id_list import read_id_list, split_id_list
from mmgraph.errors import UserError


@pytest.mark.parametrize("known", [np.array([7, 12, 5]), np.array(["7", "12", "5"])])
def test_ids_are_found_by_their_spelling_each_once_in_their_order(known, tmp_path):
    (tmp_path / "ids.txt").write_text("\ufeff5\r\n\r\n 12\n5\n")
    assert read_id_list("5, 12,5", known, "item").tolist() == [2, 1]
    assert read_id_list(str(tmp_path / "ids.txt"), known, "item").tolist() == [2, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (" , ", "no item ids given - write one id per line, or id,id"),
        ("7,x", "unknown item id 'x' - use an id of the catalogue"),
        ("no/where", "no such file or item id: 'no/where' - give a file"),
        ("ids.txt", "ids.txt:3: unknown item id 'x' - write an id of the catalogue"),
        ("latin.txt", "latin.txt: not UTF-8 text - write one id per line, in UTF-8"),
    ],
)
def test_what_is_no_list_of_known_ids_is_refused(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("7\n\nx\n")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\n")
    with pytest.raises(UserError, match=f"^{message}"):
        read_id_list(words, np.array([7, 12]), "item")


def test_unknown_ids_are_told_apart_with_their_rows(tmp_path):
    (tmp_path / "ids.txt").write_text("x\n7\n\ny\nx\n12\n")
    known = np.array([12, 7])
    rows, unknown = split_id_list(str(tmp_path / "ids.txt"), known, "item")
    assert (rows.tolist(), unknown) == ([1, 0], {"x": 1, "y": 4})
    assert split_id_list("a@b.com", known, "item")[1] == {"a@b.com": 1}
    for name in ("no.txt", "no/where"):
        with pytest.raises(UserError, match=f"no such file or item id: '{name}'"):
            split_id_list(name, known, "item")
