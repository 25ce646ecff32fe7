"""Pictures made small enough for a page that shows many of them."""

from __future__ import annotations

import importlib.util
import io
import threading
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from mmgraph.serving.pictures import Picture, read_picture

#: Longer side of a thumbnail: twice what the page shows, for screens that are fine.
SIDE = 256
#: A picture of at most that side and so many bytes is sent as it lies.
SMALL_BYTES = 2**16
#: Most pixels that are decoded; as RGBA they take 256 MiB, once at a time.
MOST_PIXELS = 2**26
#: Most bytes of thumbnails that are held.
MOST_HELD_BYTES = 2**26
#: What an entry takes beside its content, about.
_ENTRY_BYTES = 1024
_QUALITY = 80


class _Version(NamedTuple):
    """A picture file as it was."""

    path: Path
    changed: int
    size: int


def thumbnail(picture: Picture) -> Picture | None:
    """A picture of at most 256 x 256 pixels, by Pillow.

    It is turned as its camera says; of an animation it is the first frame. A JPEG, or a
    PNG where something is transparent.

    Args:
        picture: As :func:`~mmgraph.serving.pictures.read_picture` gives it.

    Returns:
        The picture itself if it is small already, or cannot be decoded; None if it has
        more than :data:`MOST_PIXELS`, a few bytes that would take all memory.

    Example:
        >>> broken = Picture(b"GIF89a and no more", "image/gif")
        >>> thumbnail(broken) == broken
        True
    """
    from PIL import Image, ImageOps

    kind = picture.media_type.removeprefix("image/").upper()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(picture.content), formats=(kind,))
        with opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            is_small = max(opened.size) <= SIDE
            if is_small and len(picture.content) <= SMALL_BYTES:
                return picture
            opened.draft(None, (2 * SIDE, 2 * SIDE))  # a JPEG is decoded coarsely
            turned = ImageOps.exif_transpose(opened)
            has_alpha = turned.has_transparency_data
            small = turned.convert("RGBA" if has_alpha else "RGB")
            small.thumbnail((SIDE, SIDE))
            out = io.BytesIO()
            if has_alpha:
                small.save(out, "PNG")
                return Picture(out.getvalue(), "image/png")
            small.save(out, "JPEG", quality=_QUALITY)
            return Picture(out.getvalue(), "image/jpeg")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    except Exception:  # decoders raise whatever a damaged file provokes
        return picture


class Thumbnails:
    """Thumbnails of files, made when they are first asked for, and held.

    A file that has changed is read again. One picture is decoded at a time, whatever
    the number of requests. Without Pillow (extra ``encode``) pictures are as they lie.

    Args:
        most_bytes: Held at most; what was not asked for longest goes first.

    Example:
        >>> Thumbnails().of(Path("nowhere.jpg")) is None
        True
    """

    def __init__(self, most_bytes: int = MOST_HELD_BYTES) -> None:
        self._most_bytes, self.held_bytes = most_bytes, 0
        self._has_pillow = importlib.util.find_spec("PIL") is not None
        self._held: OrderedDict[_Version, Picture | None] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> Picture | None:
        """The thumbnail of a picture file.

        Args:
            path: The file.

        Returns:
            As :func:`thumbnail`; None where
            :func:`~mmgraph.serving.pictures.read_picture` reads none.
        """
        if not self._has_pillow:
            return read_picture(path)
        with self._lock:
            try:
                state = path.stat()
            except (OSError, ValueError):  # a path may hold no NUL
                return None
            version = _Version(path, state.st_mtime_ns, state.st_size)
            if version in self._held:
                self._held.move_to_end(version)
                return self._held[version]
            picture = read_picture(path)
            made = None if picture is None else thumbnail(picture)
            self._hold(version, made)
            return made

    def _hold(self, version: _Version, made: Picture | None) -> None:
        self._held[version] = made
        self.held_bytes += _bytes_of(made)
        while self.held_bytes > self._most_bytes:
            self.held_bytes -= _bytes_of(self._held.popitem(last=False)[1])


def _bytes_of(made: Picture | None) -> int:
    return _ENTRY_BYTES + (0 if made is None else len(made.content))
