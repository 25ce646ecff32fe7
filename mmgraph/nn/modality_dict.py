"""One module per modality."""

from __future__ import annotations

from collections.abc import ItemsView, ValuesView
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


class ModalityDict(nn.ModuleDict, Generic[M]):
    """A ``ModuleDict`` whose modules are all of one class, which type checkers know.

    Example:
        >>> maps = ModalityDict({"visual": nn.Linear(4, 2)})
        >>> maps["visual"].in_features
        4
    """

    if TYPE_CHECKING:

        def __init__(self, modules: dict[str, M]) -> None: ...
        def __getitem__(self, key: str) -> M: ...
        def items(self) -> ItemsView[str, M]: ...
        def values(self) -> ValuesView[M]: ...
