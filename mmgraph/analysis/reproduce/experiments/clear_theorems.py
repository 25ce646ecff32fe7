"""CLEAR's theorems in numbers, on the embeddings of trained models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2
from torch import Tensor

from mmgraph.analysis.report.table import Cell, Table
from mmgraph.analysis.reproduce.context import ExperimentContext, Trained
from mmgraph.analysis.reproduce.refreshes import check_given_rank
from mmgraph.analysis.reproduce.result import ExperimentResult
from mmgraph.functional.redundancy.projection import covariance64, suppress
from mmgraph.schema import INTERACTS, ITEM, USER, feature_key, mask_key

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_CLASSES = (
    "Classes are clusters of the raw features (k-means on rows of length 1, side by "
    "side), since these data have no categories: they are coarse and shared by "
    "construction, which favours what the theorems say of categories."
)
_SIDES = (
    "Of the two modalities of a pair, Theorem 1, Eq. 45 and the shared part of "
    "Corollary 3 are of the first one's directions."
)
_PREDICTED = (
    "Corollary 7: fraction of training items that have the class of a validation item"
)
_UNTESTED = (
    "Not testable as stated: Theorem 4 (the Hessian it rests on is not that of BPR), "
    "and the approximate signs of Eqs. 19, 20, 39 and 42, to which the paper gives no "
    "bound. Eq. 21's inner product of the two modalities' parts has no meaning, since "
    "their subspaces are of different coordinates; Eq. 22 takes it as 1."
)


def clear_theorems(context: ExperimentContext) -> ExperimentResult:
    r"""Theorems 1, 6 and 8 and Corollaries 3 and 7, with both sides of each.

    Theorem 1: the Fisher ratio of classes inside the shared directions and outside.
    Corollary 3: both sides of Eq. 22, with the users' mean weights. Theorem 6: Eqs. 43
    and 45 with the classes' means as the coarse part. Corollary 7: how much better a
    user's history of classes predicts the class of a validation item than all users'
    does. Theorem 8: :math:`\|\tilde C\|_F^2` and its slope over the strength. Each of
    a model trained with the projection, before it acts, and of one trained without.
    """
    context.require_modalities()
    models = {"CLEAR": context.fit("CLEAR")}
    check_given_rank(models["CLEAR"].line["options"])
    models["CLEAR:strength=0"] = context.fit("CLEAR:strength=0")
    classes = item_classes(context, int(context.grid["classes"][0]))
    entries = [
        {"model": name, **entry}
        for name, trained in models.items()
        for entry in _of_model(context, trained, classes)
    ]
    corollary_7 = class_predictions(context, classes)
    return ExperimentResult(
        {"pairs": entries, "corollary_7": corollary_7},
        tables=[
            *_tables(entries, context.source.name),
            _prediction_table(corollary_7),
        ],
        notes=[_CLASSES, _SIDES, _UNTESTED],
    )


def item_classes(context: ExperimentContext, number: int) -> Tensor:
    """A class per item: a cluster of its raw features.

    Args:
        context: Data and seed.
        number: Number of classes, fewer where clusters come out empty.
    """
    x = [F.normalize(context.train[ITEM][feature_key(m)]) for m in context.modalities]
    rows = torch.cat(x, dim=1).double().numpy()
    most = min(number, len(rows))
    _, labels = kmeans2(rows, most, minit="++", seed=context.seeds[0])
    return torch.from_numpy(labels).long()


def fisher_ratio(x: Tensor, classes: Tensor) -> float:
    r"""Variance between classes over that within, :math:`\mathrm{tr} S_b / \mathrm{tr}
    S_w`.

    Args:
        x: Rows ``[N, d]``.
        classes: Class ``[N]`` of each.

    Example:
        >>> x = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
        >>> fisher_ratio(x, torch.tensor([0, 0, 1, 1]))
        4.0
    """
    means = class_means(x.double(), classes)
    within = (x.double() - means).square().sum()
    between = (means - means.mean(dim=0)).square().sum()
    return float(between / within) if within > 0 else float("inf")


def class_means(x: Tensor, classes: Tensor) -> Tensor:
    """Each row's class mean ``[N, d]``.

    Example:
        >>> class_means(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 1]))
        tensor([[2.],
                [2.],
                [5.]])
    """
    number = int(classes.max()) + 1
    total = x.new_zeros(number, x.size(1)).index_add_(0, classes, x)
    count = classes.bincount(minlength=number).clamp(min=1).to(x.dtype)
    return (total / count[:, None])[classes]


def class_predictions(context: ExperimentContext, classes: Tensor) -> dict[str, float]:
    """Corollary 7: the chance that a class gets of a user, and of all users.

    Means over the pairs of validation of the share of training items that have the
    item's class: those of the user, and those of all users. Eq. 46 says that they are
    about equal.
    """
    train, valid = (split[INTERACTS].edge_label_index for split in context.splits[:2])
    number = int(classes.max()) + 1
    counts = torch.zeros(context.train[USER].num_nodes, number, dtype=torch.float64)
    user, item = train
    counts.index_put_((user, classes[item]), torch.ones(1).double(), accumulate=True)
    user, item = valid
    known = counts[user].sum(dim=1) > 0
    user, label = user[known], classes[item[known]]
    own = counts[user, label] / counts[user].sum(dim=1)
    overall = (counts.sum(dim=0) / counts.sum())[label]
    return {
        "classes": number,
        "by_user": float(own.mean()),
        "by_all": float(overall.mean()),
        "ratio": float(own.mean() / overall.mean()),
    }


def _of_model(
    context: ExperimentContext, trained: Trained, classes: Tensor
) -> list[dict[str, Any]]:
    with torch.no_grad():
        data = trained.model.add_graphs(context.train)
        z = {m: x.double() for m, x in trained.model.encode_modalities(data).items()}
        fuse_users = trained.model.get_submodule("gcn.fuse_users")
        ones = [torch.ones(context.train[USER].num_nodes, 1) for _ in z]  # times weight
        weights = dict(zip(z, fuse_users(ones).double().mean(dim=0), strict=True))
    rank = trained.line["options"]["rank"]
    entries = []
    for a, b in combinations(z, 2):
        masks = [context.train[ITEM].get(mask_key(m)) for m in (a, b)]
        present = [mask for mask in masks if mask is not None]
        both = torch.stack(present).all(dim=0) if present else slice(None)
        entry = pair_theorems(z[a][both], z[b][both], rank, classes[both])
        sides = imbalance(
            z[a][both], z[b][both], rank, float(weights[a]), float(weights[b])
        )
        entries.append({"modalities": [a, b], "rank": rank, **entry, **sides})
    return entries


def pair_theorems(
    v: Tensor, t: Tensor, rank: int, classes: Tensor
) -> dict[str, dict[str, Any]]:
    """Theorems 1, 6 and 8 for two modalities.

    Args:
        v: Embeddings ``[N, d]`` of the first, float64.
        t: Embeddings of the second.
        rank: Shared directions.
        classes: Class of each item.
    """
    cov = covariance64(v, t)
    u, sigma, w_t = torch.linalg.svd(cov)
    basis, other = u[:, :rank], w_t[:rank].T
    inside, centred = v @ basis, v - v.mean(dim=0)
    outside = centred - (centred @ basis) @ basis.T
    return {
        "theorem_1": {
            "inside": fisher_ratio(inside, classes),
            "outside": fisher_ratio(outside, classes),
        },
        "theorem_6": _perturbation(cov, _coarse(v, t, classes), rank),
        "theorem_8": _penalty(v, t, basis, other, sigma),
    }


def _coarse(v: Tensor, t: Tensor, classes: Tensor) -> Tensor:
    return covariance64(class_means(v, classes), class_means(t, classes))


def _perturbation(cov: Tensor, coarse: Tensor, rank: int) -> dict[str, float]:
    """Both sides of Weyl's inequality (43) and of Eq. 45, as printed."""
    u, sigma, _ = torch.linalg.svd(cov)
    u_coarse, sigma_coarse, _ = torch.linalg.svd(coarse)
    fine = cov - coarse
    # Residual of one basis outside the other: the sines of their angles.
    residual = u_coarse[:, :rank] - u[:, :rank] @ (u[:, :rank].T @ u_coarse[:, :rank])
    following = float(sigma[rank]) if rank < sigma.numel() else 0.0
    gap = float(sigma_coarse[rank - 1]) - following if rank else 0.0
    return {
        "coarse_energy": float(coarse.norm() / cov.norm()),
        "weyl": float((sigma - sigma_coarse).abs().max()),
        "weyl_bound": float(torch.linalg.matrix_norm(fine, 2)),
        "sine": float(residual.norm()),
        "sine_bound": float(fine.norm()) / gap if gap > 0 else float("inf"),
    }


def _penalty(
    v: Tensor, t: Tensor, basis: Tensor, other: Tensor, sigma: Tensor
) -> dict[str, Any]:
    r"""Measured :math:`\|\tilde C\|_F^2`, and the largest error of Eqs. 50 and 51."""
    rank, square = basis.size(1), sigma.square()
    head, total = float(square[:rank].sum()), float(square.sum())

    def measured(strength: float) -> float:
        # Through matrices, as suppress() has no strength beyond 1 for the slope at 1.
        left = v - strength * (v @ basis) @ basis.T
        right = t - strength * (t @ other) @ other.T
        return float(covariance64(left, right).square().sum())

    values = [measured(strength) for strength in STRENGTHS]
    formula = [(1 - s) ** 4 * head + total - head for s in STRENGTHS]
    step = 1e-4
    slopes = [(measured(s + step) - measured(s - step)) / (2 * step) for s in STRENGTHS]
    expected = [-4 * (1 - s) ** 3 * head for s in STRENGTHS]
    scale = max(total, 1e-300)
    return {
        "strengths": list(STRENGTHS),
        "energy": [value / scale for value in values],
        "relative_error": float(np.abs(np.subtract(values, formula)).max()) / scale,
        "slope_error": float(np.abs(np.subtract(slopes, expected)).max()) / scale,
    }


def imbalance(
    v: Tensor, t: Tensor, rank: int, alpha: float, beta: float
) -> dict[str, dict[str, float]]:
    """Both sides of Eq. 22, with the first modality's shared part for both.

    Args:
        v: Embeddings ``[N, d]`` of the first, float64.
        t: Embeddings of the second.
        rank: Shared directions.
        alpha: Weight of the first in the fusion.
        beta: Weight of the second.
    """
    u, _, w_t = torch.linalg.svd(covariance64(v, t))
    v, t = v - v.mean(dim=0), t - t.mean(dim=0)
    rest_v, rest_t = suppress(v, u[:, :rank], 1.0), suppress(t, w_t[:rank].T, 1.0)
    energy = {"v": v, "rest_v": rest_v, "rest_t": rest_t}
    mean = {name: float(x.square().sum(dim=1).mean()) for name, x in energy.items()}
    specific = alpha**2 * mean["rest_v"] + beta**2 * mean["rest_t"]
    shared = (alpha + beta) ** 2 * (mean["v"] - mean["rest_v"])
    return {
        "corollary_3": {
            "ratio": shared / specific if specific > 0 else float("inf"),
            "bound": (alpha + beta) ** 2 / (alpha**2 + beta**2),
            "shared_fraction": 1 - mean["rest_v"] / mean["v"] if mean["v"] else 0.0,
        }
    }


def _tables(entries: Sequence[Mapping[str, Any]], name: str) -> list[Table]:
    rows: list[list[Cell]] = []
    errors: list[list[Cell]] = []
    for entry in entries:
        names = [entry["model"], " and ".join(entry["modalities"])]
        first, third = entry["theorem_1"], entry["corollary_3"]
        sixth, eighth = entry["theorem_6"], entry["theorem_8"]
        rows += [
            [*names, "Theorem 1, Fisher ratio inside << outside", *first.values()],
            [*names, "Corollary 3, ratio >= bound", third["ratio"], third["bound"]],
            [*names, "Eq. 43, left <= right", sixth["weyl"], sixth["weyl_bound"]],
            [*names, "Eq. 45, left <= right", sixth["sine"], sixth["sine_bound"]],
        ]
        errors.append(
            [*names, *eighth["energy"], eighth["relative_error"], eighth["slope_error"]]
        )
    claims = Table(
        ["model", "modalities", "claim", "left", "right"], rows, f"Claims on {name}"
    )
    columns = ["model", "modalities", *(f"λ = {s:g}" for s in STRENGTHS)]
    columns += ["error of Eq. 50", "error of Eq. 51"]
    caption = (
        "Theorem 8: fraction of the cross-covariance's energy that is left, by the "
        "strength"
    )
    return [claims, Table(columns, errors, caption)]


def _prediction_table(found: Mapping[str, float]) -> Table:
    columns = ["classes", "by the user's history", "by all histories", "ratio"]
    return Table(columns, [list(found.values())], _PREDICTED)
