"""One hash for what a catalogue holds."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.schema import (
    INTERACTS,
    ITEM,
    USER,
    feature_key,
    mask_key,
    modalities,
)


def fingerprint(*splits: HeteroData, features: bool = True) -> str:
    """SHA-256 over the edges, positives, features, masks and ids of the given objects.

    Item graphs and other derived parts do not count. The order of the edges does (it
    decides the order of the batches), the order of the modalities does not.

    Args:
        *splits: One or more split objects, usually train, val and test.
        features: False leaves features and masks out.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> from mmgraph.data import from_interactions
        >>> one = from_interactions([0, 1], [0, 1])
        >>> other = from_interactions([0, 1], [1, 0])
        >>> fingerprint(one) == fingerprint(other)
        False
        >>> len(fingerprint(one))
        64
    """
    total = hashlib.sha256()
    seen: dict[int, bytes] = {}  # the splits share their features: hash them once
    for data in splits:
        for kind in (USER, ITEM):
            total.update(f"{kind} {int(data[kind].num_nodes)}\n".encode())
            if "raw_id" in data[kind]:
                total.update("\0".join(map(str, data[kind].raw_id)).encode() + b"\n")
        for name in ("edge_index", "edge_label_index"):
            total.update(name.encode() + _digest(data[INTERACTS][name], "<i8", seen))
        for modality in sorted(modalities(data)) if features else ():
            total.update(modality.encode())
            total.update(_digest(data[ITEM][feature_key(modality)], "<f4", seen))
            mask = data[ITEM].get(mask_key(modality))
            if mask is not None:
                total.update(b"mask" + _digest(mask, "|b1", seen))
    return total.hexdigest()


def _digest(tensor: torch.Tensor, dtype: str, seen: dict[int, bytes]) -> bytes:
    """Digest of shape and values in one byte order; lengths stay unambiguous."""
    if id(tensor) not in seen:
        array = np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=dtype)
        digest = hashlib.sha256(f"{array.shape}{dtype}".encode())
        digest.update(array.data)
        seen[id(tensor)] = digest.digest()
    return seen[id(tensor)]
