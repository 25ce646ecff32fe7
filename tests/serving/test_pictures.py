from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmgraph.data.formats.tables.table_format import TableFormat
from mmgraph.errors import UserError
from mmgraph.serving.pictures import (
    MOST_PICTURE_BYTES,
    is_picture,
    media_type,
    pictures_in,
    pictures_of_table,
    read_picture,
)

KINDS = {"PNG": "png", "JPEG": "jpeg", "GIF": "gif", "WEBP": "webp"}


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_pillows_pictures_are_known_by_their_content(tmp_path, kind):
    path = tmp_path / "picture.of.any.name"
    path.write_bytes(encoded(kind))
    assert is_picture(path)
    assert read_picture(path) == (encoded(kind), f"image/{KINDS[kind]}")


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO"])
def test_other_pictures_are_not_shown(kind):
    assert media_type(encoded(kind)) is None


@given(start=st.binary(max_size=16))
def test_other_bytes_are_no_picture(start):
    magic = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF")
    assert start.startswith(magic) or media_type(start) is None


def test_what_cannot_be_shown_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "page.png").write_text("<svg onload=alert(1)>")
    (tmp_path / "empty.png").touch()
    with (tmp_path / "large.png").open("wb") as file:
        file.write(encoded("PNG"))
        file.truncate(MOST_PICTURE_BYTES + 1)
    os.symlink("nowhere", tmp_path / "link.png")
    names = ["pipe", "page", "empty", "large", "link", "nowhere", "a\0b", "x" * 300]
    for path in [tmp_path, *(tmp_path / f"{name}.png" for name in names)]:
        assert not is_picture(path)
        assert read_picture(path) is None
    with (tmp_path / "large.png").open("r+b") as file:
        file.truncate(MOST_PICTURE_BYTES)
    assert len(read_picture(tmp_path / "large.png").content) == MOST_PICTURE_BYTES


def test_a_folder_of_pictures_named_by_item_ids(tmp_path):
    for name in ("007.jpg", "7.JPEG", "7.png", "a.b.webp", ".x.png", "items.csv", "y"):
        (tmp_path / name).touch()
    found = {item: path.name for item, path in pictures_in(tmp_path).items()}
    assert found == {"007": "007.jpg", "7": "7.JPEG", "a.b": "a.b.webp"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no picture .* - give the folder of"):
        pictures_in(tmp_path / "empty")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        pictures_in(tmp_path / "nowhere")


def test_a_table_with_paths_of_pictures(tmp_path):
    text = "sku;foto\n007;x/a.jpg\n8;\n9;/photos/b.png\n007;c.jpg\n"
    (tmp_path / "items.csv").write_text(text)
    form = TableFormat({"id": "sku", "picture": "foto"}, ";")
    found = pictures_of_table(tmp_path / "items.csv", form, duplicates="first")
    assert {item: str(path) for item, path in found.items()} == {
        "007": f"{tmp_path}/x/a.jpg",
        "9": "/photos/b.png",
    }
    with pytest.raises(UserError, match=r"items.csv:5: item id '007' stands in rows"):
        pictures_of_table(tmp_path / "items.csv", form, root="elsewhere")
