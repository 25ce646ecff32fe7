"""The penalty on a batch's vectors, as the paper and as the public code have it."""

from __future__ import annotations

from torch import Tensor

from mmgraph.functional.losses.regularizers import half_square_penalty, norm_penalty


def embedding_penalty(fidelity: str, *rows: Tensor) -> Tensor:
    r"""Penalty of MF-BPR, LightGCN and VBPR on the vectors of a batch of ``B`` triples.

    ``"paper"``: :math:`\frac{1}{2B} \sum \|\mathbf{x}\|^2`. ``"released"``: the sum of
    the Frobenius norms of the batch's matrices, not squared, over ``B``; the weights
    of the two are not comparable.

    Args:
        fidelity: ``"paper"`` or ``"released"``.
        rows: The batch's user, positive and negative vectors, ``[B, d]`` each.

    Example:
        >>> import torch
        >>> embedding_penalty("paper", torch.full((1, 2), 2.0))
        tensor(4.)
    """
    if fidelity == "released":
        return norm_penalty(*rows)
    return half_square_penalty(*rows, batch_size=rows[0].size(0))
