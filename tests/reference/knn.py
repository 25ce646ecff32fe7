"""Similarities of whole tables."""

from __future__ import annotations

METRICS = ["cosine", "ip", "l2"]


def dense_scores(x, metric):
    """The scaled similarities of self_products, from all pairs in float64."""
    wide = x.double()
    norm = wide.norm(dim=1)
    if metric == "l2":
        wide = wide - wide.mean(0)
        wide = wide / wide.norm(dim=1).max()
        return wide @ wide.T - wide.square().sum(1) / 2
    score = wide @ wide.T / norm[:, None]
    return score / (norm if metric == "cosine" else norm.max())
