"""What an encoder of texts and one of pictures have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Fault(NamedTuple):
    """Why a content has no features.

    Attributes:
        reason: The same words for all of a kind.
        detail: More about this one.
    """

    reason: str
    detail: str = ""


class Encoded(NamedTuple):
    """Features of some contents.

    Attributes:
        features: float32 ``[n, D]`` of those that have some, in their order.
        faults: Position of each other one, and why.
    """

    features: np.ndarray
    faults: dict[int, Fault]


class Encoder(NamedTuple):
    """A model that turns contents into features.

    Attributes:
        kind: ``"title"`` or ``"picture"``.
        encode: Features of some contents.
        identity: All that they depend on: the model's digest, its batches, its device.
        files: Those of the model, which features are not written over.
    """

    kind: str
    encode: Callable[[Sequence[str]], Encoded]
    identity: dict[str, Any]
    files: Sequence[Path] = ()
