"""One picture from a file, with distrust."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmgraph.encode.encoder import Fault

if TYPE_CHECKING:
    from PIL.Image import Image

NO_FILE = "no such file"
UNREADABLE = "not a readable picture"
TOO_LARGE = "too large a picture"
#: Readers of Pillow's that are tried; others start programs (EPS) or are rare.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
#: The longer side in shorter ones. A model's input is made by scaling the shorter side:
#: a line of one pixel would become thousands of times as long.
_MOST_NARROW = 100
#: Bits per value, a tag of TIFF.
_TIFF_BITS = 258


class PictureError(ValueError):
    """A picture that is left out.

    Args:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(": ".join(fault))
        self.fault = fault


def open_picture(path: Path) -> Image:
    """A picture in RGB, turned as its camera says; of an animation the first frame.

    Of more than 8 bits the upper ones are taken.

    Args:
        path: A JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file.

    Raises:
        PictureError: If there is no such file, it is no picture or damaged, has more
            pixels than Pillow allows (``Image.MAX_IMAGE_PIXELS``), is a line, or has
            signed numbers or 32 bits, which do not say what is white.

    Example:
        >>> open_picture(Path("nowhere.jpg"))
        Traceback (most recent call last):
        ...
        mmgraph.encode.picture.PictureError: no such file: nowhere.jpg
    """
    from PIL import Image, ImageOps

    try:
        is_file = path.is_file()
    except ValueError:  # a NUL in its name
        is_file = False
    if not is_file:
        raise PictureError(Fault(NO_FILE, str(path)))
    try:
        with Image.open(path, formats=_formats()) as opened:
            _check_size(*opened.size, Image.MAX_IMAGE_PIXELS)
            surplus = _surplus_bits(opened)
            turned = ImageOps.exif_transpose(opened)
            if surplus:
                upper = np.asarray(turned) >> surplus
                turned = Image.fromarray(upper.astype(np.uint8))
            return turned.convert("RGB")
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(Fault(TOO_LARGE, str(error))) from error
    except Exception as error:  # decoders raise whatever a damaged file provokes
        detail = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(Fault(UNREADABLE, detail)) from error


@cache
def _formats() -> tuple[str, ...]:
    """Those that this build of Pillow has."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _surplus_bits(opened: Image) -> int:
    """Bits of a grey value beyond 8; Pillow would cut such values off at 255."""
    is_png = opened.format == "PNG"  # its 16 bits are "I" in older versions of Pillow
    if opened.mode in ("I", "F") and not is_png:
        detail = f"mode {opened.mode} of Pillow, which does not say what is white"
        raise PictureError(Fault(UNREADABLE, detail))
    if not opened.mode.startswith("I"):
        return 0
    bits: int = getattr(opened, "tag_v2", {}).get(_TIFF_BITS, (16,))[0]  # or 12
    return bits - 8


def _check_size(width: int, height: int, most: int | None) -> None:
    if most is not None and width * height > most:
        detail = f"{width} x {height} pixels, more than {most}"
        raise PictureError(Fault(TOO_LARGE, detail))
    if max(width, height) > _MOST_NARROW * min(width, height):
        detail = f"{width} x {height} pixels, a line"
        raise PictureError(Fault(TOO_LARGE, detail))
