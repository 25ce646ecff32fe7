"""One module, or one parameter, per modality, whatever the modality is called."""

from __future__ import annotations

from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

from mmgraph.nn.wide_linear import WideLinear

M = TypeVar("M", bound=nn.Module)


def attribute_name(modality: str, reserved: Iterable[str] = ()) -> str:
    """A modality's name as PyTorch can register it.

    PyTorch's names have no dots, are not empty and do not hide an attribute of their
    container. Other names stay as they are, so that saved parameters keep theirs.

    Args:
        modality: Any string.
        reserved: Names of the container's attributes.

    Example:
        >>> attribute_name("visual"), attribute_name("clip.v2")
        ('visual', 'clip%2Ev2')
        >>> attribute_name("keys", reserved=["keys", "items"])
        '%keys'
    """
    if not modality or modality in reserved:
        return f"%{modality}"
    if modality.startswith("%") or "%2" in modality:  # not to be taken for an escape
        modality = modality.replace("%", "%25")
    return modality.replace(".", "%2E")


def modality_name(attribute: str) -> str:
    """The modality of an :func:`attribute_name`.

    Example:
        >>> modality_name("clip%2Ev2"), modality_name("%keys")
        ('clip.v2', 'keys')
    """
    if not attribute.startswith(("%25", "%2E")):
        attribute = attribute.removeprefix("%")
    return attribute.replace("%2E", ".").replace("%25", "%")


_MODULE_DICT = frozenset(dir(nn.ModuleDict()))
_PARAMETER_DICT = frozenset(dir(nn.ParameterDict()))


class ModalityDict(nn.ModuleDict, Generic[M]):
    """A ``ModuleDict`` with modalities as keys: any name, and modules of one class.

    Example:
        >>> maps = ModalityDict({"visual": nn.Linear(4, 2), "clip.v2": nn.Linear(3, 2)})
        >>> maps["visual"].in_features, list(maps)
        (4, ['visual', 'clip.v2'])
    """

    def __getitem__(self, key: str) -> M:
        name = attribute_name(key, _MODULE_DICT)
        # PyTorch knows only that it is a Module; the class of all is what M promises.
        module: M = super().__getitem__(name)  # type: ignore[assignment]
        return module

    def __setitem__(self, key: str, module: nn.Module) -> None:
        super().__setitem__(attribute_name(key, _MODULE_DICT), module)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(attribute_name(key, _MODULE_DICT))

    def __contains__(self, key: str) -> bool:
        return super().__contains__(attribute_name(key, _MODULE_DICT))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> KeysView[str]:
        """The modalities, in the order in which they were added."""
        return {modality_name(name): None for name in self._modules}.keys()

    def items(self) -> ItemsView[str, M]:
        """Modalities and their modules."""
        return {key: self[key] for key in self.keys()}.items()

    if TYPE_CHECKING:

        def __init__(self, modules: dict[str, M]) -> None: ...
        def values(self) -> ValuesView[M]: ...


class ModalityParameterDict(nn.ParameterDict):
    """A ``ParameterDict`` with modalities as keys: any name.

    Example:
        >>> import torch
        >>> embeddings = ModalityParameterDict({"clip.v2": torch.zeros(3, 2)})
        >>> embeddings["clip.v2"].shape
        torch.Size([3, 2])
        >>> list(embeddings.state_dict())
        ['clip%2Ev2']
    """

    def _key_to_attr(self, key: str) -> str:
        return attribute_name(key, _PARAMETER_DICT)


def linear_maps(
    dims: Mapping[str, int], out_features: int, *, bias: bool = True
) -> ModalityDict[WideLinear]:
    """One linear map per modality, all to the same dimension.

    Args:
        dims: Dimension of each modality's features.
        out_features: Dimension of what they are mapped to.
        bias: With a bias.

    Example:
        >>> linear_maps({"visual": 16, "textual": 8}, 4)["textual"]
        WideLinear(in_features=8, out_features=4, bias=True)
    """
    maps = {m: WideLinear(dim, out_features, bias=bias) for m, dim in dims.items()}
    return ModalityDict(maps)
