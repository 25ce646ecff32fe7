"""The names of node types, edge types and attributes in every ``HeteroData``.

============================================  =========================================
``data['item'].raw_id``                       original ids ``[I]``, integers or strings
``data['item'].x_<modality>``                 float32 ``[I, D_m]``
``data['item'].mask_<modality>``              bool ``[I]``, optional, False = missing
``data['user','interacts','item'].edge_index``        training edges only
``data['user','interacts','item'].edge_label_index``  positives of this split
``data['item','similar_<modality>','item']``  row 0 neighbour, row 1 centre
============================================  =========================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch_geometric.data import HeteroData

EdgeType = tuple[str, str, str]

USER = "user"
ITEM = "item"
INTERACTS: EdgeType = (USER, "interacts", ITEM)
REV_INTERACTS: EdgeType = (ITEM, "rev_interacts", USER)  # ToUndirected's spelling
SIMILAR: EdgeType = (ITEM, "similar", ITEM)
CO_INTERACTS: EdgeType = (USER, "co_interacts", USER)

_FEATURE = "x_"
_MASK = "mask_"


def feature_key(modality: str) -> str:
    """Attribute of ``data['item']`` that holds a modality's features.

    Example:
        >>> feature_key("visual")
        'x_visual'
    """
    return f"{_FEATURE}{modality}"


def mask_key(modality: str) -> str:
    """Attribute of ``data['item']`` that is False where the feature is missing.

    Example:
        >>> mask_key("visual")
        'mask_visual'
    """
    return f"{_MASK}{modality}"


def similar_edge_type(modality: str) -> EdgeType:
    """Edge type of the item graph of one modality.

    Example:
        >>> similar_edge_type("visual")
        ('item', 'similar_visual', 'item')
    """
    return (ITEM, f"similar_{modality}", ITEM)


def in_order(modalities: Mapping[str, Any] | Iterable[str]) -> dict[str, Any]:
    """Modalities in the one order in which all parts of the package see them.

    ``visual``, ``textual``, then the others by name. Where the order gives a role
    (the anchor of a contrast, say), it does not depend on who named them first.

    Args:
        modalities: Values by name, or the names alone (the values are then None).

    Example:
        >>> in_order({"textual": 8, "acoustic": 3, "visual": 16})
        {'visual': 16, 'textual': 8, 'acoustic': 3}
    """
    values = (
        modalities if isinstance(modalities, Mapping) else dict.fromkeys(modalities)
    )
    return {m: values[m] for m in sorted(values, key=_place)}


def modalities(data: HeteroData) -> list[str]:
    """Names of the item modalities, in the order of :func:`in_order`.

    Example:
        >>> import torch
        >>> data = HeteroData()
        >>> data["item"].x_visual = torch.zeros(3, 2)
        >>> modalities(data)
        ['visual']
    """
    if ITEM not in data.node_types:
        return []
    keys = data[ITEM].keys()
    names = [key.removeprefix(_FEATURE) for key in keys if key.startswith(_FEATURE)]
    return list(in_order(names))


def _place(modality: str) -> tuple[int, str]:
    first = ("visual", "textual")
    known = modality in first
    return (first.index(modality) if known else len(first)), modality
