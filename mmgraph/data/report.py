"""The data report: what a catalogue holds and where it is thin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.label_split import SPLIT_NAMES
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, mask_key, modalities

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def data_report(train: HeteroData, val: HeteroData, test: HeteroData) -> dict[str, Any]:
    """Count what the three split objects hold.

    Args:
        train: The training object.
        val: The validation object.
        test: The test object.

    Returns:
        ``users``, ``items``, ``interactions``, ``sparsity`` (ratio of the pairs that
        did not occur), ``splits`` (``rows``, ``share``, ``users``, ``dropped_rows`` of
        each), ``users_without_train``, ``items_without_train``, ``degree`` (minimum,
        quartiles and maximum of the training degrees of users and items) and
        ``modalities``: of each ``dim``, ``stored_dtype`` (None if unknown),
        ``missing_rows`` (False in the mask), ``zero_rows`` and ``duplicate_rows``
        (equal to an earlier row), both among the rows that are not missing.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> report = data_report(*load_dataset("synthetic"))
        >>> report["users"], report["items"]
        (1000, 600)
        >>> report["modalities"]["visual"]["missing_rows"]
        12
    """
    splits = dict(zip(SPLIT_NAMES, (train, val, test), strict=True))
    rows = {
        name: data[INTERACTS].edge_label_index.size(1) for name, data in splits.items()
    }
    users, items = int(train[USER].num_nodes), int(train[ITEM].num_nodes)
    edges, total = train[INTERACTS].edge_index.cpu(), sum(rows.values())
    user_degree = torch.bincount(edges[0], minlength=users).numpy()
    item_degree = torch.bincount(edges[1], minlength=items).numpy()
    stored = train.get("stored_dtype", {})
    return {
        "users": users,
        "items": items,
        "interactions": total,
        "sparsity": 1 - total / (users * items),
        "splits": {
            name: {
                "rows": rows[name],
                "share": rows[name] / total,
                "users": data[INTERACTS].edge_label_index[0].unique().numel(),
                "dropped_rows": data.get("dropped_rows", 0),
            }
            for name, data in splits.items()
        },
        "users_without_train": int((user_degree == 0).sum()),
        "items_without_train": int((item_degree == 0).sum()),
        "degree": {
            USER: np.quantile(user_degree, QUANTILES).tolist(),
            ITEM: np.quantile(item_degree, QUANTILES).tolist(),
        },
        "modalities": {
            name: _modality(train, name, stored.get(name)) for name in modalities(train)
        },
    }


def _modality(data: HeteroData, name: str, stored_dtype: str | None) -> dict[str, Any]:
    x = data[ITEM][feature_key(name)].cpu()
    mask = data[ITEM].get(mask_key(name))
    known = x if mask is None else x[mask.cpu()]
    return {
        "dim": x.size(1),
        "stored_dtype": stored_dtype,
        "missing_rows": len(x) - len(known),
        "zero_rows": int((known == 0).all(dim=1).sum()),
        "duplicate_rows": len(known) - _num_distinct(known.numpy()),
    }


def _num_distinct(x: np.ndarray) -> int:
    """Distinct rows, compared as bytes: no sort over wide float rows."""
    plain = np.ascontiguousarray(x + np.float32(0))  # -0 becomes 0
    return len({row.tobytes() for row in plain})
