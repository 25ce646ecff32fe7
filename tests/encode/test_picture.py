from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from mmgraph.encode.picture import PictureError, open_picture


def fault(path):
    with pytest.raises(PictureError) as error:
        open_picture(path)
    return error.value.fault


def test_every_mode_becomes_rgb(pictures):
    for path in sorted(pictures.iterdir()):
        assert open_picture(path).mode == "RGB"


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    image = Image.new("RGB", (4, 2))
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (2, 4)


@pytest.mark.parametrize("name", ["nowhere.png", "", "a\0b.png"])
def test_what_is_no_file_is_said(name, tmp_path):
    assert fault(tmp_path / name).reason == "no such file"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert fault(tmp_path / "a.png").reason == "no such file"


def test_damage_is_said(tmp_path, pictures):
    whole = (pictures / "0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("<html>not found</html>")
    (tmp_path / "empty.jpg").touch()
    for name in ("cut.png", "text.png", "empty.jpg"):
        found = fault(tmp_path / name)
        assert found.reason == "not a readable picture"
        assert found.detail


def test_a_program_is_not_started_for_a_picture(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")  # Pillow calls Ghostscript
    assert fault(tmp_path / "a.eps").reason == "not a readable picture"


def bomb(path: Path, width: int, height: int) -> None:
    """A PNG of a few bytes whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("width", "height"), [(9_460, 9_461), (12_000, 12_000), (60_000, 60_000)]
)
def test_a_bomb_is_refused_at_pillows_limit(tmp_path, width, height):
    assert width * height > Image.MAX_IMAGE_PIXELS
    bomb(tmp_path / "bomb.png", width, height)
    assert fault(tmp_path / "bomb.png").reason == "too large a picture"


def test_a_line_is_refused_before_it_is_scaled(tmp_path):
    Image.new("1", (101, 1)).save(tmp_path / "line.png")
    Image.new("1", (100, 1)).save(tmp_path / "long.png")
    assert fault(tmp_path / "line.png") == (
        "too large a picture",
        "101 x 1 pixels, a line",
    )
    assert open_picture(tmp_path / "long.png").size == (100, 1)


RAMP = np.arange(2**16).reshape(256, 256)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_of_grey_are_scaled_and_not_cut_off(tmp_path, suffix, order):
    mode = "I;16" if order == "<u2" or suffix == "png" else "I;16B"
    values = RAMP.astype("<u2" if mode == "I;16" else order)
    image, path = Image.frombytes(mode, (256, 256), values.tobytes()), tmp_path / "a"
    image.save(path.with_suffix(f".{suffix}"))
    got = np.asarray(open_picture(path.with_suffix(f".{suffix}")))
    assert (got == (RAMP // 256)[..., None]).all()


def test_grey_of_12_bits_is_scaled_too(tmp_path):
    row = np.arange(0, 4096, 2)  # two values are three bytes
    packed = [row[0::2] >> 4, (row[0::2] & 15) << 4 | row[1::2] >> 8, row[1::2] & 255]
    data = np.stack(packed, axis=1).astype(np.uint8).tobytes()
    tags = {256: 64, 257: 32, 258: 12, 259: 1, 262: 1, 277: 1, 278: 32, 279: len(data)}
    entries = sorted({**tags, 273: 8 + 2 + 12 * 9 + 4}.items())
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    (tmp_path / "a.tif").write_bytes(head + body + bytes(4) + data)
    got = np.asarray(open_picture(tmp_path / "a.tif"))[..., 0]
    assert (got.flatten() == row // 16).all()


def test_16_bits_are_turned_as_the_camera_says(tmp_path):
    image = Image.frombytes("I;16", (256, 256), RAMP.astype("<u2").tobytes())
    exif = image.getexif()
    exif[0x0112] = 3  # half a turn
    image.save(tmp_path / "a.png", exif=exif)
    got = np.asarray(open_picture(tmp_path / "a.png"))[..., 0]
    assert (got == (RAMP // 256)[::-1, ::-1]).all()


@pytest.mark.parametrize(("dtype", "mode"), [(np.int32, "I"), (np.float32, "F")])
def test_32_bits_a_pixel_are_left_out(tmp_path, dtype, mode):
    Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "a.tif")
    detail = f"mode {mode} of Pillow, which does not say what is white"
    assert fault(tmp_path / "a.tif") == ("not a readable picture", detail)


def test_pixels_are_those_of_the_file(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert (np.asarray(open_picture(tmp_path / "a.png")) == values).all()
