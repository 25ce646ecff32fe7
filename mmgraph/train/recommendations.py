"""Recommendations as a table of original ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import HeteroData

from mmgraph.data.ids import ids_to_index
from mmgraph.models.base import Recommender
from mmgraph.schema import ITEM, USER
from mmgraph.train.evaluation import recommend


def recommend_table(
    model: Recommender,
    data: HeteroData,
    user_ids: Sequence[object] | None = None,
    k: int = 20,
) -> pd.DataFrame:
    """The ``k`` best items of users, by original ids.

    Args:
        model: A trained model.
        data: The data it was trained on.
        user_ids: Original ids, as they are or as text; None for all users.
        k: Items per user.

    Returns:
        Columns ``user_id, item_id, rank, score``, users in the order given, rank from
        1. Items of the user's training history never occur, so a user with few
        candidates left has fewer rows.

    Raises:
        UserError: If an id is unknown, naming it.

    Example:
        >>> from mmgraph.data import load_dataset
        >>> from mmgraph.models import build_model
        >>> train, _, _ = load_dataset("synthetic")
        >>> user = train["user"].raw_id[0]
        >>> table = recommend_table(build_model("MF-BPR", train), train, [user], k=3)
        >>> list(table.columns), list(table["rank"])
        (['user_id', 'item_id', 'rank', 'score'], [1, 2, 3])
    """
    user_raw, item_raw = np.asarray(data[USER].raw_id), np.asarray(data[ITEM].raw_id)
    if user_ids is None:
        index = np.arange(len(user_raw))
    else:
        index = np.asarray(ids_to_index(data, USER, user_ids))
    found = recommend(model, data, torch.from_numpy(index), k)
    item, score = (tensor.cpu().numpy() for tensor in found)
    row, place = np.nonzero(item >= 0)
    return pd.DataFrame(
        {
            "user_id": user_raw[index[row]],
            "item_id": item_raw[item[row, place]],
            "rank": place + 1,
            "score": score[row, place],
        }
    )
