"""Directions that modalities share, and their suppression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import torch
from torch import Tensor

from mmgraph.functional.block_sizes import COVARIANCE_ROWS

_CPU_SVD_LIMIT = 512  # below, the transfer costs less than a GPU's SVD latency


def cross_covariance(x_a: Tensor, x_b: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Cross-covariance of two feature matrices over the same items.

    :math:`C = \frac{1}{N} \bar{X}_a^{\top} \bar{X}_b`, columns centred first (Eqs. 3-4
    of "CLEAR: Null-Space Projection for Cross-Modal De-Redundancy in Multimodal
    Recommendation", 2026). Sums run in float64, block by block.

    Args:
        x_a: Features ``[N, d_a]``.
        x_b: Features ``[N, d_b]``, same rows.
        mask: Boolean ``[N]``, False leaves a row out of mean and covariance.

    Returns:
        ``[d_a, d_b]`` in the dtype of ``x_a``.

    Raises:
        ValueError: If the row counts differ or no row is left.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> cross_covariance(x, 2 * x)
        tensor([[2.]])
    """
    return covariance64(x_a, x_b, mask).to(x_a.dtype)


def shared_directions(
    x_a: Tensor, x_b: Tensor, rank: int, *, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""First singular vectors of the cross-covariance of two modalities.

    :math:`C = U \Sigma W^{\top}` (Eq. 5 of CLEAR, 2026), in float64. The entry of
    largest magnitude of each ``u_i`` is positive. Directions whose singular value is
    at most ``max(d_a, d_b) * eps * sigma_1`` are rounding noise: their columns are
    zero, so that suppressing them changes nothing.

    Args:
        x_a: Features ``[N, d_a]``.
        x_b: Features ``[N, d_b]``, same rows.
        rank: Number of directions.
        mask: Boolean ``[N]``, False leaves a row out.

    Returns:
        ``U [d_a, rank]`` and ``W [d_b, rank]`` in the dtype of the inputs, and between
        them all singular values ``[min(d_a, d_b)]``, float64, descending.

    Raises:
        ValueError: If ``rank`` is not in ``[0, min(d_a, d_b)]``.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
        >>> u, sigma, w = shared_directions(x, x, rank=1)
        >>> u.T, w.T
        (tensor([[1., 0.]]), tensor([[1., 0.]]))
    """
    _check_rank(rank, min(x_a.size(1), x_b.size(1)))
    cov = covariance64(x_a, x_b, mask)
    u, sigma, w = _leading(cov, rank, _eps(x_a, x_b))
    return u.to(x_a.dtype), sigma, w.to(x_b.dtype)


def suppress(x: Tensor, basis: Tensor, strength: float) -> Tensor:
    r"""Damp the components of ``x`` inside a subspace.

    :math:`\tilde{X} = X - \lambda (X U) U^{\top}` (Eq. 9 of CLEAR, 2026, in low-rank
    form). The raw, uncentred ``x`` is projected: the centred covariance of the result
    is the same either way.

    Args:
        x: Features ``[..., d]``.
        basis: Orthonormal columns ``[d, k]``; zero columns have no effect.
        strength: Fraction to remove, in ``[0, 1]``; 0 returns ``x`` itself.

    Returns:
        ``[..., d]``.

    Raises:
        ValueError: If ``strength`` is outside ``[0, 1]``.

    Example:
        >>> suppress(torch.tensor([[4.0, 2.0]]), torch.tensor([[1.0], [0.0]]), 0.75)
        tensor([[1., 2.]])
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"'strength' must be in [0, 1] (got {strength})")
    if strength == 0 or basis.size(1) == 0:
        return x
    basis = basis.to(x.dtype)
    return x - strength * ((x @ basis) @ basis.T)


def shared_bases(
    x: Mapping[str, Tensor],
    rank: int,
    *,
    masks: Mapping[str, Tensor] | None = None,
    weights: str = "equal",
    directions: str = "covariance",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    r"""Directions that each modality shares with all the others.

    For modality ``m`` the cross-covariances with the others stand side by side,
    :math:`B_m = [a_{mn} C_{mn}]_{n \neq m}`, and the basis is made of the first left
    singular vectors of :math:`B_m`. With two modalities this is CLEAR (2026) itself.
    The order of the modalities has no influence.

    Args:
        x: Features ``[N, d_m]`` by modality, same rows.
        rank: Number of directions per modality.
        masks: Boolean ``[N]`` by modality; a pair uses the items that have both, and
            shares nothing where there are none.
        weights: ``"equal"``: every pair counts alike (:math:`a_{mn} = 1/|C_{mn}|_F`,
            for three and more modalities); ``"raw"``: :math:`a_{mn} = 1`.
        directions: ``"covariance"``, which sees size; ``"canonical"``:
            :math:`C_{mn}` of whitened features, :math:`C_{mm}^{-1/2} C_{mn}
            C_{nn}^{-1/2}`, which sees correlation alone. Its singular values are
            canonical correlations, and the basis spans the first canonical variates
            :math:`C_{mm}^{-1/2} u_i`, orthonormalised, so that suppressing it removes
            them.

    Returns:
        Bases ``[d_m, rank]`` (zero columns as in :func:`shared_directions`) and the
        singular values of each :math:`B_m`, float64. One modality: zero bases and no
        singular values.

    Raises:
        ValueError: If ``rank`` exceeds a dimension, or ``weights`` or ``directions`` is
            unknown.

    Example:
        >>> x = torch.randn(50, 4)
        >>> bases, sigma = shared_bases({"visual": x, "textual": x + 1}, rank=2)
        >>> bases["visual"].shape, sigma["visual"].shape
        (torch.Size([4, 2]), torch.Size([4]))
    """
    if weights not in ("equal", "raw"):
        raise ValueError(f"'weights' must be 'equal' or 'raw' (got {weights!r})")
    if directions not in ("covariance", "canonical"):
        raise ValueError(
            f"'directions' must be 'covariance' or 'canonical' (got {directions!r})"
        )
    names = list(x)
    if not names:
        raise ValueError("no modality given (got an empty mapping)")
    _check_rank(rank, min(features.size(1) for features in x.values()))
    if directions == "canonical":
        return _canonical_bases(x, rank, masks, weights)
    if len(names) == 1:
        (only,) = x.values()
        none = only.new_empty(0, dtype=torch.float64)
        return {names[0]: only.new_zeros(only.size(1), rank)}, {names[0]: none}

    cov = {(a, b): _pair_covariance(x, masks, a, b) for a, b in combinations(names, 2)}
    bases, sigmas = _bases_of(cov, names, rank, weights, _eps(*x.values()))
    return {m: u.to(x[m].dtype) for m, u in bases.items()}, sigmas


def _bases_of(
    cov: dict[tuple[str, str], Tensor],
    names: list[str],
    rank: int,
    weights: str,
    eps: float,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Bases and singular values from the cross-covariance of each pair."""
    if len(names) == 2:  # one SVD, so that the two bases are paired
        a, b = names
        u, sigma, w = _leading(cov[a, b], rank, eps)
        return {a: u, b: w}, {a: sigma, b: sigma.clone()}

    if weights == "equal":
        cov = {pair: c / c.norm().clamp(min=1e-300) for pair, c in cov.items()}
    cov |= {(b, a): c.T for (a, b), c in cov.items()}
    bases, sigmas = {}, {}
    for m in names:
        # Sorted, so that the order of the mapping cannot enter through rounding.
        stacked = torch.cat([cov[m, n] for n in sorted(names) if n != m], dim=1)
        bases[m], sigmas[m], _ = _leading(stacked, rank, eps)
    return bases, sigmas


def _canonical_bases(
    x: Mapping[str, Tensor],
    rank: int,
    masks: Mapping[str, Tensor] | None,
    weights: str,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """:func:`shared_bases` by correlation: whiten, compare, and map back."""
    white, maps = {}, {}
    for m, features in x.items():
        mask = None if masks is None else masks.get(m)
        rows = features if mask is None else features[mask]
        if mask is not None and not len(rows):  # no item has it: nothing varies
            white[m] = torch.zeros_like(features, dtype=torch.float64)
            maps[m] = white[m].new_zeros(features.size(1), features.size(1))
            continue
        maps[m] = _whitening(covariance64(rows, rows))
        white[m] = (features.double() - _mean64(rows)) @ maps[m]
    bases, sigmas = shared_bases(white, rank, masks=masks, weights=weights)
    out = {}
    for m, u in bases.items():
        # Q R keeps the span of the first columns, whichever their number.
        q, _ = torch.linalg.qr((maps[m] @ u).cpu())
        out[m] = (q.to(u.device) * u.any(dim=0)).to(x[m].dtype)
    return out, sigmas


def _whitening(cov: Tensor) -> Tensor:
    """The symmetric root of the inverse covariance; zero where features do not vary."""
    values, vectors = torch.linalg.eigh(cov.cpu())
    known = values > len(values) * torch.finfo(torch.float32).eps * values[-1]
    scale = torch.where(known, values, 1.0).rsqrt() * known
    white: Tensor = (vectors * scale) @ vectors.T
    return white.to(cov.device)


def union_bases(
    x: Mapping[str, Tensor],
    rank: int,
    *,
    masks: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    r"""Directions that each modality shares with any of the others.

    Every pair has its own ``rank`` shared directions
    (:func:`shared_directions`); a modality's basis spans those of all its pairs. At
    strength 1 nothing remains of any pair's first ``rank`` directions, which the
    fixed rank of :func:`shared_bases` cannot promise; the price is a rank that grows
    with the number of modalities. With two modalities both are the same.

    Args:
        x: Features ``[N, d_m]`` by modality, same rows.
        rank: Directions per pair.
        masks: Boolean ``[N]`` by modality; a pair uses the items that have both, and
            shares nothing where there are none.

    Returns:
        Orthonormal bases ``[d_m, r_m]``, :math:`r_m \le` ``rank`` times the number of
        other modalities, without zero columns; none for a single modality.

    Raises:
        ValueError: If ``rank`` exceeds the smallest dimension or no modality is given.

    Example:
        >>> x = torch.randn(50, 8)
        >>> bases = union_bases({"a": x, "b": x[:, :5], "c": x[:, 5:]}, rank=2)
        >>> bases["a"].shape, bases["b"].shape
        (torch.Size([8, 4]), torch.Size([5, 4]))
    """
    if not x:
        raise ValueError("no modality given (got an empty mapping)")
    _check_rank(rank, min(features.size(1) for features in x.values()))
    of_pairs: dict[str, list[Tensor]] = {name: [] for name in x}
    # Sorted, so that the order of the mapping cannot enter through rounding.
    for a, b in combinations(sorted(x), 2):
        cov = _pair_covariance(x, masks, a, b)
        u, _, w = _leading(cov, rank, _eps(x[a], x[b]))
        of_pairs[a].append(u)
        of_pairs[b].append(w)
    eps = _eps(*x.values())
    bases = {}
    for name, features in x.items():
        blocks = of_pairs[name]
        union = (
            torch.cat(blocks, dim=1)
            if blocks
            else features.new_zeros(features.size(1), 0)
        )
        if len(blocks) > 1:
            union, _, _ = _leading(union, union.size(1), eps)
        bases[name] = union[:, union.any(dim=0)].to(features.dtype)
    return bases


def _check_rank(rank: int, largest: int) -> None:
    if not 0 <= rank <= largest:
        raise ValueError(f"'rank' must be in [0, {largest}] (got {rank})")


def have_common_items(
    modalities: Iterable[str], masks: Mapping[str, Tensor] | None
) -> bool:
    """True if an item has two of the modalities, so that something can be shared.

    Args:
        modalities: Their names.
        masks: Boolean ``[N]`` by modality, False where an item lacks it.

    Example:
        >>> masks = {"visual": torch.tensor([True, False])}
        >>> have_common_items(["visual", "textual"], masks)
        True
        >>> masks["textual"] = ~masks["visual"]
        >>> have_common_items(["visual", "textual"], masks)
        False
    """
    both = [_both(masks, a, b) for a, b in combinations(modalities, 2)]
    return any(mask is None or bool(mask.any()) for mask in both)


def _pair_covariance(
    x: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None, a: str, b: str
) -> Tensor:
    """Cross-covariance of two modalities; zero if no item has both."""
    mask = _both(masks, a, b)
    if mask is not None and not mask.any():
        size = x[a].size(1), x[b].size(1)
        return x[a].new_zeros(size, dtype=torch.float64)
    return covariance64(x[a], x[b], mask)


def _both(masks: Mapping[str, Tensor] | None, a: str, b: str) -> Tensor | None:
    present = [masks[m] for m in (a, b) if masks is not None and m in masks]
    return torch.stack(present).all(dim=0) if present else None


def _eps(*features: Tensor) -> float:
    # Half-precision features were not made by half-precision sums: float32 is the
    # coarsest noise level that may hide a direction.
    is_double = all(x.dtype == torch.float64 for x in features)
    return torch.finfo(torch.float64 if is_double else torch.float32).eps


def covariance64(x_a: Tensor, x_b: Tensor, mask: Tensor | None = None) -> Tensor:
    """:func:`cross_covariance` in float64, whatever the dtype of the features.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> covariance64(x, x)
        tensor([[1.]], dtype=torch.float64)
    """
    if x_a.size(0) != x_b.size(0):
        raise ValueError(
            f"both modalities need the same rows (got {x_a.size(0)} and {x_b.size(0)})"
        )
    if mask is not None:
        x_a, x_b = x_a[mask], x_b[mask]
    num_rows = x_a.size(0)
    if num_rows == 0:
        raise ValueError("no row has both modalities (got 0 rows)")
    mean_a, mean_b = _mean64(x_a), _mean64(x_b)
    cov = mean_a.new_zeros(x_a.size(1), x_b.size(1))
    for a, b in zip(
        x_a.split(COVARIANCE_ROWS), x_b.split(COVARIANCE_ROWS), strict=True
    ):
        cov = cov + (a.double() - mean_a).T @ (b.double() - mean_b)
    return cov / num_rows


def _mean64(x: Tensor) -> Tensor:
    total = torch.stack([rows.double().sum(dim=0) for rows in x.split(COVARIANCE_ROWS)])
    return total.sum(dim=0) / x.size(0)


def _leading(cov: Tensor, rank: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """First ``rank`` singular vectors (noise zeroed, signs fixed), all values."""
    device = cov.device
    if min(cov.shape) <= _CPU_SVD_LIMIT:
        cov = cov.cpu()
    u, sigma, w_t = torch.linalg.svd(cov, full_matrices=False)
    u, w = u[:, :rank], w_t[:rank].T
    if rank:
        sign = u.gather(0, u.abs().argmax(dim=0, keepdim=True)).sign()
        is_signal = sigma[:rank] > max(cov.shape) * eps * sigma[0]
        u, w = u * (sign * is_signal), w * (sign * is_signal)
    u, w = u.contiguous(), w.contiguous()
    return u.to(device), sigma.to(device), w.to(device)
