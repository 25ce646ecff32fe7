from __future__ import annotations

import io
import os
import sys
import zlib

import pytest
from PIL import Image

from mmgraph.serving import thumbnails as module
from mmgraph.serving.pictures import Picture, read_picture
from mmgraph.serving.thumbnails import MOST_PIXELS, SIDE, Thumbnails, thumbnail

KINDS = ("PNG", "JPEG", "GIF", "WEBP")


def encoded(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return Picture(out.getvalue(), f"image/{kind.lower()}")


def decoded(picture):
    return Image.open(io.BytesIO(picture.content))


def halves(width, height, mode="RGB"):
    """Left red, right blue."""
    image = Image.new(mode, (width, height), (255, 0, 0, 255)[: len(mode)])
    image.paste((0, 0, 255, 255)[: len(mode)], (width // 2, 0, width, height))
    return image


def is_red(pixel):
    return pixel[0] > 200 and pixel[2] < 60


def bomb(side):
    """A PNG of white pixels: a few kilobytes of a file, gigabytes of memory."""

    def chunk(name, content):
        checked = name + content
        length, check = len(content), zlib.crc32(checked)
        return length.to_bytes(4, "big") + checked + check.to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1000))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    return Picture(content + chunk(b"IEND", b""), "image/png")


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_picture_becomes_small_and_keeps_its_shape(kind):
    small = decoded(thumbnail(encoded(halves(1600, 800), kind)))
    assert small.size == (SIDE, SIDE // 2)
    assert is_red(small.convert("RGB").getpixel((60, 60)))
    assert not is_red(small.convert("RGB").getpixel((200, 60)))
    assert f"image/{small.format.lower()}" == "image/jpeg"


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_picture_is_sent_as_it_lies(kind):
    picture = encoded(halves(SIDE, 10), kind)
    assert thumbnail(picture) is picture


def test_many_bytes_become_few_whatever_the_size():
    noise = Image.frombytes("RGB", (250, 250), os.urandom(3 * 250**2))
    small = thumbnail(encoded(noise))
    assert len(small.content) < len(encoded(noise).content) / 2
    assert decoded(small).size == (250, 250)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_stays_so(kind):
    image = halves(800, 800, "RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 400, 400))
    small = thumbnail(encoded(image, kind))
    assert small.media_type == "image/png"
    assert decoded(small).getpixel((50, 50))[3] == 0
    assert decoded(small).getpixel((50, 200))[3] == 255


def test_a_picture_is_turned_as_its_camera_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    small = decoded(thumbnail(encoded(halves(1600, 800), "JPEG", exif=exif)))
    assert small.size == (SIDE // 2, SIDE)
    assert is_red(small.getpixel((60, 60)))
    assert not is_red(small.getpixel((60, 200)))
    assert not small.getexif()


def test_of_an_animation_the_first_frame_is_shown():
    frames = [halves(800, 800), Image.new("RGB", (800, 800), "green")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    small = decoded(thumbnail(moving))
    assert is_red(small.getpixel((60, 60)))
    assert getattr(small, "n_frames", 1) == 1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA"])
def test_every_way_to_write_colours(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    small = thumbnail(encoded(halves(600, 600).convert(mode), kind))
    assert decoded(small).size == (SIDE, SIDE)


def test_a_decompression_bomb_is_refused():
    side = int(MOST_PIXELS**0.5)
    for larger in (side + 1, 10_000, 60_000):  # the latter two Pillow warns of, refuses
        assert thumbnail(bomb(larger)) is None
    allowed = bomb(side)
    assert thumbnail(allowed) is allowed  # its rows are missing: sent as it lies


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_sent_as_it_lies(kind):
    whole = encoded(halves(1600, 800), kind)
    damaged = whole._replace(content=whole.content[: len(whole.content) // 3])
    assert thumbnail(damaged) is damaged


def test_what_is_no_picture_file_has_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "page.png").write_text("<svg onload=alert(1)>")
    made = Thumbnails()
    for name in ("pipe.png", "page.png", "nowhere.png", "a\0b", "x" * 300):
        assert made.of(tmp_path / name) is None
    assert made.of(tmp_path) is None


def test_a_thumbnail_is_made_once_for_each_content(tmp_path, monkeypatch):
    decodings = []

    def counted(picture):
        decodings.append(picture)
        return thumbnail(picture)

    monkeypatch.setattr(module, "thumbnail", counted)
    path, made = tmp_path / "a.jpg", Thumbnails()
    path.write_bytes(encoded(halves(1600, 800), "JPEG").content)
    first = made.of(path)
    assert made.of(path) is first
    assert len(decodings) == 1
    path.write_bytes(encoded(halves(1600, 400), "JPEG").content)
    assert decoded(made.of(path)).size == (SIDE, SIDE // 4)
    assert len(decodings) == 2
    path.write_bytes(bomb(60_000).content)
    assert made.of(path) is made.of(path) is None
    assert len(decodings) == 3


def test_no_more_is_held_than_is_allowed(tmp_path):
    paths = [tmp_path / f"{n}.png" for n in range(9)]
    for path in paths:
        path.write_bytes(encoded(halves(SIDE, SIDE)).content)
    one = Thumbnails()
    one.of(paths[0])
    made = Thumbnails(most_bytes=3 * one.held_bytes)
    first = made.of(paths[0])
    for path in paths:
        made.of(path)
        assert made.of(paths[0]) is first  # asked for again and again
        assert made.held_bytes <= 3 * one.held_bytes
    assert made.held_bytes == 3 * one.held_bytes
    assert Thumbnails(most_bytes=0).of(paths[0]) == first


def test_without_pillow_pictures_are_as_they_lie(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(halves(1600, 800), "JPEG").content)
    monkeypatch.setitem(sys.modules, "PIL", None)
    made = Thumbnails()
    assert made.of(path) == read_picture(path)
    assert made.of(tmp_path / "nowhere.jpg") is None
    assert made.held_bytes == 0
