"""Values that are kept for as long as the tensors they came from stay the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


class TensorCache:
    """Keeps what was built from tensors until one of them changes.

    A tensor counts as changed when another object comes in, or when it was changed in
    place. The last value of each key is kept.

    Example:
        >>> import torch
        >>> cache, x = TensorCache(), torch.ones(2)
        >>> cache.get("sum", (x,), lambda: float(x.sum()))
        2.0
        >>> _ = x.add_(1)
        >>> cache.get("sum", (x,), lambda: float(x.sum()))
        4.0
    """

    def __init__(self) -> None:
        self._entries: dict[Any, tuple[tuple[Tensor, ...], tuple[int, ...], Any]] = {}

    def get(
        self, key: Hashable, sources: tuple[Tensor, ...], build: Callable[[], T]
    ) -> T:
        """The kept value, or ``build()`` if one of the sources has changed."""
        # Inference tensors keep no count of changes: they cannot be changed in place.
        versions = tuple(0 if t.is_inference() else t._version for t in sources)
        if key in self._entries:
            tensors, seen, value = self._entries[key]
            same = len(tensors) == len(sources) and all(
                a is b for a, b in zip(tensors, sources, strict=True)
            )
            if same and seen == versions:
                kept: T = value
                return kept
        built = build()
        self._entries[key] = (sources, versions, built)
        return built
