"""A seeded catalogue whose right answers are known.

The features of item ``i`` in modality ``m`` come from factors ``z`` that all modalities
share and from factors ``p`` of its own,

    x_i^m = A_m diag(s) z_i + B_m p_i^m + c_m + noise,

with orthonormal ``[A_m, B_m]``. User ``u`` likes it by ``<a_u, z_i> + <b_u, p_i>``,
mostly by the private part, and meets popular items more often. The factors are exactly
uncorrelated over the items, so the planted subspaces are those of the sample too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from mmgraph.data.build import from_interactions
from mmgraph.data.splits import split_per_user
from mmgraph.functional.block_sizes import PLANTED_USERS

DIMS = {"visual": 64, "textual": 48}
SHARED_SCALE = (2.0, 1.5)  # first and last; private factors have 1: redundancy is loud


@dataclass(frozen=True)
class PlantedTruth:
    """The factors that were planted.

    Attributes:
        shared_basis: Orthonormal ``[D_m, shared_rank]`` of each modality: the
            directions in feature space that carry the shared factors.
        private_basis: Orthonormal ``[D_m, private_rank]``, orthogonal to the former.
        shared_factors: ``[I, shared_rank]``, mean 0 and covariance 1 over the items.
        private_factors: ``[I, private_rank]`` of each modality, likewise.
        user_factors: ``[U, F]``: taste for the shared factors, then for the private
            ones of each modality.
        popularity: ``[I]``, the log-weight by which an item is met.
    """

    shared_basis: dict[str, Tensor]
    private_basis: dict[str, Tensor]
    shared_factors: Tensor
    private_factors: dict[str, Tensor]
    user_factors: Tensor
    popularity: Tensor

    @property
    def item_factors(self) -> Tensor:
        """``[I, F]``: shared factors, then the private ones of each modality."""
        return torch.cat([self.shared_factors, *self.private_factors.values()], dim=1)

    @property
    def preference(self) -> Tensor:
        """``[U, I]``: the true liking, without popularity."""
        return self.user_factors @ self.item_factors.T


def synthetic(
    *, seed: int = 0, **options: Any
) -> tuple[HeteroData, HeteroData, HeteroData, PlantedTruth]:
    """Plant a catalogue and split it per user.

    Args:
        seed: Seed of all randomness, that of the split too.
        **options: Sizes and ratios, see :func:`plant_catalogue`.

    Returns:
        ``(train, val, test, truth)``.

    Example:
        >>> train, val, test, truth = synthetic(num_users=50, num_items=120)
        >>> train["item"].x_visual.shape, truth.preference.shape
        (torch.Size([120, 64]), torch.Size([50, 120]))
    """
    data, truth = plant_catalogue(seed=seed, **options)
    return *split_per_user(data, seed=seed), truth


def plant_catalogue(
    *,
    seed: int = 0,
    num_users: int = 1000,
    num_items: int = 600,
    interactions_per_user: int = 20,
    modalities: Mapping[str, int] | None = None,
    shared_rank: int = 4,
    private_rank: int = 4,
    private_share: float = 0.8,
    taste: float = 2.0,
    popularity: float = 0.7,
    missing: float = 0.02,
    noise: float = 0.1,
) -> tuple[HeteroData, PlantedTruth]:
    """Plant a catalogue of all interactions, not yet split.

    Args:
        seed: Seed of all randomness.
        num_users: Number of users.
        num_items: Number of items, more than twice the interactions per user.
        interactions_per_user: Mean number of items per user; half to one and a half
            of it each, and never under five.
        modalities: Dimension of each modality; visual 64 and textual 48 by default.
        shared_rank: Number of factors that all modalities share.
        private_rank: Number of factors of each modality alone.
        private_share: Ratio of the variance of the liking that lies in the private
            factors, 0 to 1.
        taste: Log-odds per standard deviation of liking; 0: users pick by popularity.
        popularity: Exponent of the power law of item popularity; 0: none.
        missing: Ratio of the items that lack a modality, other items for each.
        noise: Standard deviation of the feature noise; the factors have 1 (private)
            and 2 to 1.5 (shared).

    Returns:
        ``(data, truth)``; ids are ``u000``, ``i000``, ...

    Raises:
        ValueError: If the sizes or ratios do not fit together.

    Example:
        >>> data, truth = plant_catalogue(num_users=9, modalities={"a": 16})
        >>> data["item"].x_a.shape, truth.shared_basis["a"].shape
        (torch.Size([600, 16]), torch.Size([16, 4]))
    """
    dims = dict(DIMS if modalities is None else modalities)
    num_private = private_rank * len(dims)
    num_factors = shared_rank + num_private
    if min(num_users, interactions_per_user) < 1:
        raise ValueError(
            "num_users and interactions_per_user must be at least 1 "
            f"(got {num_users}, {interactions_per_user})"
        )
    _check_sizes(dims, num_items, interactions_per_user, shared_rank, private_rank)
    if not (0 <= private_share <= 1 and 0 <= missing * len(dims) <= 1):
        raise ValueError(
            "private_share must lie in 0..1 and missing in 0..1 / modalities "
            f"(got {private_share}, {missing})"
        )
    rng = np.random.default_rng(seed)
    factors = _uncorrelated_factors(rng, num_items, num_factors)
    shared, *private = np.split(
        factors, range(shared_rank, num_factors, private_rank), axis=1
    )
    scaled = shared * np.linspace(*SHARED_SCALE, shared_rank)

    features, masks, shared_basis, private_basis = {}, {}, {}, {}
    shuffled, lost = rng.permutation(num_items), round(missing * num_items)
    for number, (name, dim) in enumerate(dims.items()):
        basis = np.linalg.qr(rng.normal(size=(dim, shared_rank + private_rank)))[0]
        shared_basis[name], private_basis[name] = np.split(basis, [shared_rank], axis=1)
        x = scaled @ shared_basis[name].T + private[number] @ private_basis[name].T
        x += rng.normal(size=dim) / np.sqrt(dim)  # a common part, as real data have
        x += noise * rng.normal(size=x.shape)
        masks[name] = np.ones(num_items, bool)
        masks[name][shuffled[number * lost : (number + 1) * lost]] = False
        features[name] = np.where(masks[name][:, None], x, 0.0)

    variance = np.repeat(
        [(1 - private_share) / shared_rank, private_share / num_private],
        [shared_rank, num_private],
    )
    user_factors = rng.normal(size=(num_users, num_factors)) * np.sqrt(variance)
    # The shift flattens the head of the law: no item that everybody has.
    log_weight = -popularity * np.log(rng.permutation(num_items) + 10.0)
    low, high = max(5, interactions_per_user // 2), interactions_per_user * 3 // 2
    per_user = rng.integers(low, max(low, high) + 1, size=num_users)
    user, item = _draw(rng, taste * user_factors, factors, log_weight, per_user)

    users = _padded("u", num_users)
    items = _padded("i", num_items)
    data = from_interactions(
        users[user],
        items[item],
        features=features,
        masks=masks if lost else None,
        users=users,
        items=items,
    )
    truth = PlantedTruth(
        shared_basis={name: _tensor(basis) for name, basis in shared_basis.items()},
        private_basis={name: _tensor(basis) for name, basis in private_basis.items()},
        shared_factors=_tensor(shared),
        private_factors={
            name: _tensor(p) for name, p in zip(dims, private, strict=True)
        },
        user_factors=_tensor(user_factors),
        popularity=_tensor(log_weight),
    )
    return data, truth


def _check_sizes(
    dims: dict[str, int],
    num_items: int,
    interactions_per_user: int,
    shared_rank: int,
    private_rank: int,
) -> None:
    if not dims or min(shared_rank, private_rank) < 1:
        raise ValueError("at least one modality and one factor of each kind are needed")
    if min(dims.values()) < shared_rank + private_rank:
        raise ValueError(
            f"each dimension must be {shared_rank + private_rank} or more (got {dims})"
        )
    least = max(
        2 * max(5, interactions_per_user), shared_rank + private_rank * len(dims) + 2
    )
    if num_items < least:
        raise ValueError(f"num_items must be at least {least} (got {num_items})")


def _uncorrelated_factors(
    rng: np.random.Generator, num_items: int, num_factors: int
) -> np.ndarray:
    """Gaussian columns, then made mean 0 and covariance 1 over the items."""
    normal = rng.normal(size=(num_items, num_factors))
    normal -= normal.mean(axis=0)
    factors: np.ndarray = np.linalg.qr(normal)[0] * np.sqrt(num_items)
    return factors


def _draw(
    rng: np.random.Generator,
    user_factors: np.ndarray,
    item_factors: np.ndarray,
    log_weight: np.ndarray,
    per_user: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Items without replacement by exp(score): the largest Gumbel-perturbed scores."""
    parts = []
    for start in range(0, len(user_factors), PLANTED_USERS):
        block = user_factors[start : start + PLANTED_USERS]
        scores = block @ item_factors.T + log_weight
        order = np.argsort(-(scores + rng.gumbel(size=scores.shape)), axis=1)
        parts.append(order[:, : per_user.max()])
    best = np.concatenate(parts)
    taken = np.arange(best.shape[1]) < per_user[:, None]
    return np.repeat(np.arange(len(best)), per_user), best[taken]


def _padded(letter: str, count: int) -> np.ndarray:
    """Zero-padded ids: their sorted order is the order of the rows."""
    width = len(str(count - 1))
    return np.array([f"{letter}{number:0{width}}" for number in range(count)])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
