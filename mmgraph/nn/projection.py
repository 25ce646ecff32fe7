"""CLEAR's null-space projection as a module."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmgraph.functional.redundancy.projection import (
    have_common_items,
    shared_bases,
    suppress,
)
from mmgraph.functional.redundancy.refresh_measures import refresh_measures
from mmgraph.functional.redundancy.spectrum import (
    effective_rank as effective_rank_of,
)
from mmgraph.functional.redundancy.spectrum import (
    spectral_gap,
    suggest_rank,
)
from mmgraph.nn.modality_dict import attribute_name, modality_name
from mmgraph.options import (
    CheckedOptions,
    Fraction,
    NonNegativeInt,
    PositiveFraction,
    PositiveInt,
)

logger = logging.getLogger(__name__)

_SMALL_GAP = 1e-3
_KINDS = ("basis", "sigma", "mean")


class NullSpaceProjection(CheckedOptions, nn.Module):
    r"""Suppresses what modalities share, so that each keeps what it alone knows.

    From "CLEAR: Null-Space Projection for Cross-Modal De-Redundancy in Multimodal
    Recommendation", 2026, Algorithm 1. :meth:`refresh` finds the shared directions
    :math:`U_m` without gradients; :meth:`forward` applies

    .. math::
        \tilde{X}_m = X_m - \lambda (X_m U_m) U_m^{\top}

    to the raw features (Eq. 10 is misprinted; section 3.5 and Algorithm 1 agree on
    this). The gradient along :math:`U_m` is thereby scaled by :math:`1 - \lambda`.

    The bases are buffers: a loaded module projects as the saved one did, even if it
    was never refreshed itself. It is the identity before the first refresh, at
    strength 0, at rank 0, for a single modality and where no item has two.

    :attr:`measures` holds those of the last refresh, by ``<modality>/<name>`` (see
    :func:`mmgraph.functional.refresh_measures`); it is empty before the first one and
    after loading.

    Args:
        rank: Directions per modality (the paper's :math:`k`); not used where ``energy``
            is given.
        strength: Fraction removed (:math:`\lambda`), in ``[0, 1]``.
        refresh_every: Epochs between refreshes (:math:`\tau`).
        sides: ``"both"``, or the name or names of the modalities to project.
        center_output: Subtract the mean of the last refresh before projecting.
        energy: Fraction of :math:`\sum_i \sigma_i^2` that the directions must hold. The
            rank is then chosen anew at every refresh (the "dynamic ratio" ablation), at
            most one less than the smallest dimension.
        penalty: Choose the rank at every refresh by Eq. 13 instead: the number of
            :math:`\sigma_i^2` above this ratio of :math:`\sum_i \sigma_i^2`.
        effective_rank: Choose it as the effective rank of the spectrum, rounded
            (:func:`mmgraph.functional.effective_rank`).
        directions: ``"covariance"``, or ``"canonical"`` for those of the features'
            correlation, see :func:`mmgraph.functional.shared_bases`.
        weights: Weights of the pairs of three or more modalities, see
            :func:`mmgraph.functional.shared_bases`.
        stop_gradient: Let no gradient through along the shared directions, so that no
            encoder learns to grow what the projection damps; the value is the same.
            (Not in the paper, which lets the fraction :math:`1 - \lambda` through.)

    Shapes:
        - **input:** ``{modality: [N, d_m]}``; ``refresh`` wants the whole catalogue,
          ``forward`` takes any rows
        - **output:** the same

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> project = NullSpaceProjection(rank=2, strength=0.9)
        >>> x = {"visual": torch.randn(50, 8), "textual": torch.randn(50, 6)}
        >>> for epoch in range(1, 4):
        ...     if project.should_refresh(epoch):
        ...         project.refresh(x, epoch)
        >>> project(x)["textual"].shape
        torch.Size([50, 6])
    """

    refreshed_at: Tensor

    def __init__(
        self,
        rank: NonNegativeInt,
        strength: Fraction,
        *,
        refresh_every: PositiveInt = 1,
        sides: str | Sequence[str] = "both",
        center_output: bool = False,
        energy: PositiveFraction | None = None,
        penalty: Fraction | None = None,
        effective_rank: bool = False,
        directions: Literal["covariance", "canonical"] = "covariance",
        weights: Literal["equal", "raw"] = "equal",
        stop_gradient: bool = False,
    ) -> None:
        super().__init__()
        if (energy is not None) + (penalty is not None) + effective_rank > 1:
            raise ValueError(
                "give one of 'energy', 'penalty' and 'effective_rank' "
                f"(got {energy}, {penalty}, {effective_rank})"
            )
        self.rank = rank
        self.strength = strength
        self.refresh_every = refresh_every
        self.sides = sides
        self.center_output = center_output
        self.energy, self.penalty = energy, penalty
        self.effective_rank = effective_rank
        self.directions = directions
        self.weights = weights
        self.stop_gradient = stop_gradient
        self._has_warned = False
        self.measures: dict[str, float] = {}
        # Epoch of the last refresh, 0 = never.
        self.register_buffer("refreshed_at", torch.tensor(0))

    def should_refresh(self, epoch: int) -> bool:
        """True if the paper refreshes at the start of this epoch, counted from 1."""
        return epoch == 1 or epoch % self.refresh_every == 0

    @torch.no_grad()
    def refresh(
        self,
        x: Mapping[str, Tensor],
        epoch: int | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Recompute the bases from the features of the whole catalogue.

        Args:
            x: Features ``[N, d_m]`` by modality.
            epoch: Recorded in ``refreshed_at``; None counts one further.
            masks: Boolean ``[N]`` by modality, False leaves an item out.

        Raises:
            ValueError: If ``rank`` exceeds the smallest dimension, ``sides`` names an
                unknown modality, or the first features hold NaN or infinity. (Later
                ones only log a warning, and the last bases stay.)
        """
        sides = self._projected(x)
        broken = _non_finite(x, masks)
        if broken is not None:
            what = f"features of modality {broken!r} hold NaN or infinite values"
            if self.refreshed_at == 0:
                raise ValueError(f"{what}: there is no earlier projection to keep")
            logger.warning("%s: the last projection stays", what)
            return
        if have_common_items(x, masks):
            smallest = min(rows.size(1) for rows in x.values())
            rank = smallest - 1 if self.finds_rank else self.rank
            bases, sigmas = shared_bases(
                x, rank, masks=masks, weights=self.weights, directions=self.directions
            )
            earlier = {name: self._basis(name) for name in self.modalities}
            self._drop_buffers()
            for name in sides:
                basis = self._cut(name, bases[name], sigmas[name])
                measures = refresh_measures(basis, sigmas[name], earlier.get(name))
                self.measures |= {f"{name}/{key}": v for key, v in measures.items()}
                attribute = attribute_name(name)
                self.register_buffer(f"basis_{attribute}", basis)
                self.register_buffer(f"sigma_{attribute}", sigmas[name])
                if self.center_output:
                    rows = x[name]
                    if masks is not None and name in masks:
                        rows = rows[masks[name]]
                    if len(rows):  # else no item has it, and there is no mean
                        mean = rows.mean(dim=0, dtype=torch.float64).to(basis.dtype)
                        self.register_buffer(f"mean_{attribute}", mean)
        self.refreshed_at.fill_(self.refreshed_at + 1 if epoch is None else epoch)

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project each modality; one without a basis passes unchanged."""
        return {name: self._project(name, rows) for name, rows in x.items()}

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities that have a basis."""
        names = [name for name in self._buffers if name.startswith("basis_")]
        return [modality_name(name.removeprefix("basis_")) for name in names]

    @property
    def finds_rank(self) -> bool:
        """True if each refresh chooses the rank by the spectrum."""
        by_value = self.energy is not None or self.penalty is not None
        return by_value or self.effective_rank

    def extra_repr(self) -> str:
        """Options shown in the module's repr."""
        rank = f"rank={self.rank}"
        for name in ("energy", "penalty", "effective_rank"):
            value = getattr(self, name)
            rank = f"{name}={value}" if value not in (None, False) else rank
        return f"{rank}, strength={self.strength}"

    def _project(self, name: str, x: Tensor) -> Tensor:
        basis = self._basis(name)
        if basis is None or self.strength == 0:
            return x
        mean = self._buffers.get(f"mean_{attribute_name(name)}")
        x = x if mean is None else x - mean
        damped = suppress(x, basis, self.strength)
        if not self.stop_gradient:
            return damped
        outside = suppress(x, basis, 1.0)
        return outside + (damped - outside).detach()

    def _basis(self, name: str) -> Tensor | None:
        return self._buffers.get(f"basis_{attribute_name(name)}")

    def _projected(self, x: Mapping[str, Tensor]) -> list[str]:
        if self.sides == "both":
            return list(x)
        sides = [self.sides] if isinstance(self.sides, str) else list(self.sides)
        unknown = [name for name in sides if name not in x]
        if unknown:
            raise ValueError(f"'sides' must be 'both' or in {list(x)} (got {unknown})")
        return sides

    def _cut(self, name: str, basis: Tensor, sigma: Tensor) -> Tensor:
        """Choose the rank, log it, warn of a missing gap."""
        if self.finds_rank:
            basis = basis[:, : self._rank_of(sigma)].contiguous()
        rank = int(basis.any(dim=0).sum())
        logger.debug("%s: %d shared directions", name, rank)
        gap = spectral_gap(sigma, rank)
        if gap < _SMALL_GAP and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s: relative spectral gap %.1e below rank %d: the projection is not "
                "well defined, choose another rank",
                name,
                gap,
                rank,
            )
        return basis

    def _rank_of(self, sigma: Tensor) -> int:
        """The rank that the rule makes of a spectrum."""
        if self.effective_rank:
            return round(effective_rank_of(sigma))
        if self.penalty is not None:
            energy = float(sigma.square().sum())
            return suggest_rank(sigma, penalty=self.penalty * energy)
        return suggest_rank(sigma, energy=self.energy)

    def _drop_buffers(self) -> None:
        self.measures = {}
        for name in list(self._buffers):
            if name.partition("_")[0] in _KINDS:
                delattr(self, name)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any
    ) -> None:
        # Modalities, dimensions and ranks are known only after a refresh: take the set
        # of buffers from the saved state before PyTorch compares names and shapes.
        if f"{prefix}refreshed_at" in state_dict:
            self._drop_buffers()
            for key, value in state_dict.items():
                name = key.removeprefix(prefix)
                is_ours = key.startswith(prefix) and "." not in name
                if is_ours and name.partition("_")[0] in _KINDS:
                    empty = torch.empty_like(value, device=self.refreshed_at.device)
                    self.register_buffer(name, empty)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _non_finite(
    x: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
) -> str | None:
    """Name of the first modality with a NaN or infinity in a row that counts."""
    for name, rows in x.items():
        is_bad = ~rows.isfinite().all(dim=1)
        if masks is not None and name in masks:
            is_bad &= masks[name]
        if is_bad.any():
            return name
    return None
