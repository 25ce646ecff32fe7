"""Distances between kinds of embeddings, in numbers beside a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgraph.functional.redundancy.canonical_correlation import gaussian_information
from mmgraph.functional.redundancy.divergence import (
    overlap_coefficient,
    sliced_wasserstein,
)
from mmgraph.nn.losses import CLUBLoss

#: Steps and learning rate of the estimator behind :func:`club_estimate`.
STEPS, LEARNING_RATE = 300, 1e-2
#: The silhouette compares all pairs of points: at most of so many, drawn at random.
SILHOUETTE_POINTS = 4000
_FOLDS = 5


def tsne(x: Tensor, seed: int) -> Tensor:
    """Points ``[N, 2]`` by t-SNE (scikit-learn), the same for one seed."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(x) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return torch.from_numpy(model.fit_transform(x.double().numpy())).double()


def set_distances(
    x: Tensor, y: Tensor, points: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Sliced Wasserstein distance in three scalings, and overlap in a t-SNE plot.

    The distance grows with the features, and a projection shrinks them: only the
    second and the third, whose scale is fixed, can be compared before and after.

    Args:
        x: Embeddings ``[N, d]``.
        y: Embeddings ``[N, d]``.
        points: The points ``[N, 2]`` of both in the plot.

    Returns:
        ``swd_raw``, ``swd_unit`` (columns centred over both sets, rows of length 1),
        ``swd_plane``, and ``overlap``: the common area of the densities along each axis
        of the plot, mean of the two.
    """
    centre = torch.cat([x, y]).mean(dim=0)
    unit = [F.normalize(rows - centre, dim=1) for rows in (x, y)]
    a, b = points
    return {
        "swd_raw": sliced_wasserstein(x, y),
        "swd_unit": sliced_wasserstein(unit[0], unit[1]),
        "swd_plane": sliced_wasserstein(a, b),
        "overlap": sum(overlap_coefficient(a[:, n], b[:, n]) for n in (0, 1)) / 2,
    }


def generic_and_unique(
    generic: Mapping[str, Tensor],
    unique: Mapping[str, Tensor],
    seed: int,
    aligned: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Agreement of generic parts across modalities, and their distance from the unique.

    Args:
        generic: ``[N, d]`` by modality, or one matrix for all.
        unique: ``[N, d]`` by modality.
        seed: Of the classifier's folds and of the estimator.
        aligned: The generic parts in the space where they are aligned, if it is
            another: measures of sets are measures of these.

    Returns:
        ``alignment`` (mean cosine of the generic parts of two modalities; None with one
        matrix), ``silhouette`` of all sets (of :data:`SILHOUETTE_POINTS` points) and
        ``accuracy`` of a linear classifier that tells generic from unique
        (cross-validated), with the generic parts where they are aligned; by modality
        of generic and unique part of the same item the ``cosine``, and ``club`` and
        ``gaussian`` information in nats (None where it is infinite).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import silhouette_score
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    one = next(iter(generic.values()))
    partner = {m: generic.get(m, one) for m in unique}
    facing = aligned or generic
    agreements = [
        F.cosine_similarity(facing[a], facing[b]).mean()
        for a, b in combinations(facing, 2)
    ]
    sets = [*facing.values(), *unique.values()]
    rows = F.normalize(torch.cat(sets), dim=1).double().numpy()
    member = torch.arange(len(sets)).repeat_interleave(len(one)).numpy()
    is_unique = member >= len(facing)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    drawn = order[:SILHOUETTE_POINTS].numpy()
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    accuracy = cross_val_score(
        LogisticRegression(max_iter=1000, class_weight="balanced"),
        *(rows, is_unique),
        cv=folds,
        scoring="balanced_accuracy",
    )
    information = {
        m: {
            "cosine": float(F.cosine_similarity(partner[m], unique[m]).mean()),
            "club": club_estimate(partner[m], unique[m], seed),
            "gaussian": _finite(gaussian_information(partner[m], unique[m])),
        }
        for m in unique
    }
    return {
        "alignment": float(torch.stack(agreements).mean()) if agreements else None,
        "silhouette": float(silhouette_score(rows[drawn], member[drawn])),
        "accuracy": float(accuracy.mean()),
        "information": information,
    }


def club_estimate(x: Tensor, y: Tensor, seed: int) -> float:
    """The CLUB bound in nats, with an estimator fitted here, on standardised columns.

    The estimator is fitted on one half of the rows and the bound taken on the other,
    so that what it has learned by heart does not count.
    """
    x, y = (_standardised(matrix.float()) for matrix in (x, y))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    fit, held = order.tensor_split(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        club = CLUBLoss(x.size(1), y.size(1), clamp=False)
    optimizer = torch.optim.Adam(club.parameters(), LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimizer.zero_grad()
            club.estimator_loss(x[fit], y[fit]).backward()
            optimizer.step()
    with torch.no_grad():
        return float(club.bound(x[held], y[held]))


def _standardised(x: Tensor) -> Tensor:
    x = x - x.mean(dim=0)
    return x / x.std(dim=0).clamp(min=1e-12)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
