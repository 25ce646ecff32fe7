"""The final vectors of a trained system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmgraph.bench.run_directory import Run
from mmgraph.models.base import Recommender
from mmgraph.schema import ITEM, USER


@dataclass(frozen=True)
class Vectors:
    """A vector per user and per item, with their original ids.

    Attributes:
        user_ids: ``[U]``, int64 or strings.
        item_ids: ``[I]``, int64 or strings.
        user: float32 ``[U, d]``, on the CPU.
        item: float32 ``[I, d]``, on the CPU.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    user: Tensor
    item: Tensor


def final_vectors(run: Run) -> Vectors:
    """What :meth:`~mmgraph.models.base.Recommender.score` gets of all users and items.

    Args:
        run: A trained run, as :func:`~mmgraph.bench.run_directory.load_run` gives it.
    """
    data = run.model.add_graphs(run.splits[0])
    with torch.no_grad():
        user, item = run.model.ranking_embeddings(data)
    return Vectors(
        np.asarray(data[USER].raw_id),
        np.asarray(data[ITEM].raw_id),
        user.detach().float().cpu().contiguous(),
        item.detach().float().cpu().contiguous(),
    )


def ranks_by_inner_product(model: Recommender) -> bool:
    """True if a score is the inner product of two vectors, and nothing more.

    Example:
        >>> from mmgraph.models.mf_bpr import MFBPR
        >>> ranks_by_inner_product(MFBPR(2, 3))
        True
    """
    return type(model).score is Recommender.score
