"""SEA's losses: align what modalities share, separate it from what each alone knows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor, nn

from mmgraph.errors import UserError
from mmgraph.functional.losses.mutual_information import club_bound, standardized
from mmgraph.nn.losses.club import CLUBLoss, Estimator
from mmgraph.nn.losses.contrastive import InfoNCELoss, SoloSimLoss
from mmgraph.nn.losses.negative_distance import NegativeDistanceLoss
from mmgraph.nn.losses.projection_head import ProjectionHead
from mmgraph.nn.losses.rows import check_rows
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.options import (
    CheckedOptions,
    Dimension,
    FeatureDimension,
    Fidelity,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from mmgraph.schema import in_order

Halves = dict[str, tuple[Tensor, Tensor]]
Alignment = Literal["solosim", "info_nce"]
Distance = Literal["mim", "neg_l2"]
Fit = Literal["adam", "closed-form"]
Order = Literal["loss-first", "fit-first"]
_SHARED = "shared"
#: Steps and learning rate of an estimator that is fitted from scratch, to compare.
REFIT_STEPS, REFIT_LR = 200, 3e-2


class SeparateLearningLoss(CheckedOptions, nn.Module):
    r"""Alignment of generic halves and distance of generic from unique halves.

    From "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation", 2024 (Eqs. 13-16, 19, 30). The first half of each modality's
    vectors is generic, the second unique. ``align`` contrasts the heads of the generic
    halves of two modalities, the later one (in the order of
    :func:`~mmgraph.schema.in_order`, whatever that of ``dims``) as anchor, and is the
    mean over unordered pairs; a single modality has 0. ``distance`` is the mean
    over modalities of the mutual information of generic and unique half (bounded by
    :class:`CLUBLoss` on linear maps of them) or of their negative distance.

    The estimator inside CLUB is fitted by :meth:`club_step`, or on the way with
    ``fit=True``, with an optimiser of its own (:attr:`estimator_optimizer`); keep
    :meth:`estimator_parameters` out of the model's. It is fitted well where
    :meth:`own_bounds` come near to :meth:`refitted_bounds`.

    A model whose encoder is linear can multiply its weights into ``heads[m].first``,
    ``maps_generic[m]`` and ``maps_unique[m]`` and call :meth:`align_loss` and
    :meth:`distance_loss` with the results.

    Args:
        dims: Dimension of each modality's vectors.
        proj_hidden: Dimension inside the heads.
        proj_out: Dimension of the heads' output.
        mim_dim: Dimension of the linear maps in front of CLUB.
        mim_proj: ``"linear"``, or ``"none"`` to use the halves as they are.
        align: ``"solosim"``, ``"info_nce"`` or None.
        distance: ``"mim"``, ``"neg_l2"`` or None.
        align_weight: Weight of the alignment; at 0 it is not computed.
        distance_weight: Weight of the distance; at 0 it is not computed. (The public
            code halves the bound: its 0.006 is 0.003 here.)
        temperature: Of the alignment.
        club_fit: How the estimator is fitted. ``"adam"``: all of it by Adam.
            ``"closed-form"``: the output layers as :meth:`CLUBLoss.fit_heads` does, the
            hidden ones by Adam; 3 steps cost what 10 of Adam's do.
        club_inner_steps: Steps of the estimator per :meth:`club_step`. (The public code
            takes 50.)
        club_lr: Learning rate of the estimator. (The public code has 1e-4.)
        club_rows: Rows that a step of the estimator sees of a modality, at most: every
            :math:`k`-th, from a random one on; 0 for all, as in the public code.
        club_order: Of a loss with ``fit=True``: ``"loss-first"`` with the estimator
            fitted to the batch before, as in the public code, or ``"fit-first"``.
        club_standardize: Bring each column of both halves to mean 0 and variance 1
            first. Mutual information does not change, and without it the variance of
            the estimator, at least :math:`1/e`, may be far above that of the vectors.
        club_pairs: Pairs that the estimator is fitted to. ``"paper"``: generic to
            unique half of the same modality, for which the bound is evaluated.
            ``"released"``: the pairs of the public code, the same half of two
            modalities, which leaves the bound nearly inert.
        club_shared: One estimator for all modalities (which then need the same
            dimensions) or one each.
        club_hidden: Hidden units of the estimator.
        club_estimator: ``"closed"`` or ``"sample"``, see :class:`CLUBLoss`.
        club_clamp: Cut the bound off at 0.
        normalize_distance: Normalise both halves in ``"neg_l2"``.
        block_size: Rows per block of the alignment.

    Shapes:
        - **input:** ``{modality:`` :math:`(N, D_m)` ``}``, same rows, :math:`N \ge 1`;
          of a single row the alignment is 0, as there is nothing to contrast it with
        - **output:** ``{"align": scalar, "distance": scalar}``, already weighted:
          their sum is the term to add

    Raises:
        UserError: If an option is unknown or does not suit the dimensions, or a batch
            is empty.

    Example:
        >>> dims = {"visual": 16, "textual": 8}
        >>> loss = SeparateLearningLoss(dims, club_inner_steps=2)
        >>> z = {"visual": torch.randn(20, 16), "textual": torch.randn(20, 8)}
        >>> _ = loss.club_step(z)
        >>> sorted(loss(z))
        ['align', 'distance']
    """

    def __init__(
        self,
        dims: Mapping[str, FeatureDimension],
        *,
        proj_hidden: Dimension = 64,
        proj_out: Dimension = 32,
        mim_dim: Dimension = 32,
        mim_proj: Literal["linear", "none"] = "linear",
        align: Alignment | None = "solosim",
        distance: Distance | None = "mim",
        align_weight: NonNegativeFloat = 0.012,
        distance_weight: NonNegativeFloat = 0.003,
        temperature: PositiveFloat = 0.2,
        club_fit: Fit = "adam",
        club_inner_steps: NonNegativeInt = 10,
        club_lr: PositiveFloat = 3e-2,
        club_rows: NonNegativeInt = 1024,
        club_order: Order = "loss-first",
        club_standardize: bool = True,
        club_pairs: Fidelity = "paper",
        club_shared: bool = True,
        club_hidden: Dimension = 8,
        club_estimator: Estimator = "closed",
        club_clamp: bool = True,
        normalize_distance: bool = False,
        block_size: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        if not dims or min(dims.values()) < 2:
            raise UserError(
                f"every modality needs a dimension of 2 or more (got {dict(dims)})",
                "use a larger embedding",
                owner="",
            )
        dims = self.dims = in_order(dims)
        self.align_weight = align_weight
        self.distance_weight = distance_weight
        self.club_fit = club_fit
        self.club_inner_steps = club_inner_steps
        self.club_lr = club_lr
        self.club_rows = club_rows
        self.club_order = club_order
        self.club_standardize = club_standardize
        #: Bound by modality of the last :meth:`distance_loss`, not cut off at 0.
        self.bounds: dict[str, Tensor] = {}
        self.club_pairs = club_pairs
        self.club_shared = club_shared
        self._optimizer: torch.optim.Adam | None = None
        generic = {m: dim // 2 for m, dim in dims.items()}
        unique = {m: dim - dim // 2 for m, dim in dims.items()}

        self.alignment: SoloSimLoss | InfoNCELoss | None = None
        self.heads: ModalityDict[ProjectionHead] = ModalityDict({})
        if align is not None and len(dims) > 1:
            contrast = SoloSimLoss if align == "solosim" else InfoNCELoss
            # The heads' rows have length 1 already.
            self.alignment = contrast(
                temperature, block_size=block_size, normalize=False
            )
            for m in dims:
                self.heads[m] = ProjectionHead(generic[m], proj_hidden, proj_out)

        self.distancing: NegativeDistanceLoss | None = None
        self.maps_generic: ModalityDict[nn.Linear] = ModalityDict({})
        self.maps_unique: ModalityDict[nn.Linear] = ModalityDict({})
        self.club: ModalityDict[CLUBLoss] = ModalityDict({})
        if distance == "neg_l2":
            if generic != unique:
                raise UserError(
                    f"'neg_l2' needs even dimensions (got {self.dims})",
                    "choose the distance 'mim'",
                    owner="",
                )
            self.distancing = NegativeDistanceLoss(normalize=normalize_distance)
        elif distance == "mim":
            if mim_proj == "linear":
                for m in dims:
                    self.maps_generic[m] = nn.Linear(generic[m], mim_dim)
                    self.maps_unique[m] = nn.Linear(unique[m], mim_dim)
                    generic[m] = unique[m] = mim_dim
            halves = {(generic[m], unique[m]) for m in dims}
            if club_shared and len(halves) > 1:
                raise UserError(
                    "one estimator for all modalities needs equal dimensions (got "
                    f"{self.dims})",
                    "use mim_proj='linear' or club_shared=False",
                    owner="",
                )
            if club_pairs == "released" and not (len(dims) > 1 and club_shared):
                raise UserError(
                    "club_pairs='released' needs two modalities and club_shared=True "
                    f"(got {list(dims)}, club_shared={club_shared})",
                    "choose club_pairs='paper'",
                    owner="",
                )
            for name in [_SHARED] if club_shared else dims:
                m = next(iter(dims)) if club_shared else name
                self.club[name] = CLUBLoss(
                    generic[m],
                    unique[m],
                    club_hidden,
                    estimator=club_estimator,
                    clamp=club_clamp,
                )

    def forward(
        self, z: Mapping[str, Tensor], *, fit: bool = False
    ) -> dict[str, Tensor]:
        """Weighted terms from each modality's vectors.

        Args:
            z: ``{modality: [N, D]}``.
            fit: Fit the estimator to them, too, in the order of ``club_order``.
        """
        rows = next(iter(z.values()))
        check_rows(rows, "SeparateLearningLoss")
        zero = rows.new_zeros(())
        terms = {"align": zero, "distance": zero}
        if self.alignment is not None and self.align_weight:
            generic, _ = self.split(z)
            terms["align"] = self.align_loss(
                {m: head.first(generic[m]) for m, head in self.heads.items()}
            )
        if self.has_distance and self.distance_weight:
            terms["distance"] = self.distance_loss(self.distance_inputs(z), fit=fit)
        return terms

    def split(
        self, z: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Generic (first) and unique (second) halves of each modality's vectors.

        Raises:
            ValueError: If the modalities or their dimensions are not those of ``dims``.
        """
        dims = {m: x.size(-1) for m, x in z.items()}
        if dims != self.dims:
            raise ValueError(f"dimensions must be {self.dims} (got {dims})")
        generic = {m: z[m][..., : dim // 2] for m, dim in self.dims.items()}
        unique = {m: z[m][..., dim // 2 :] for m, dim in self.dims.items()}
        return generic, unique

    def distance_inputs(self, z: Mapping[str, Tensor]) -> Halves:
        """Generic and unique half (or the maps of them) that distance compares."""
        generic, unique = self.split(z)
        if not self.maps_generic:
            return {m: (generic[m], unique[m]) for m in self.dims}
        return {
            m: (self.maps_generic[m](generic[m]), self.maps_unique[m](unique[m]))
            for m in self.dims
        }

    def align_loss(self, first: Mapping[str, Tensor]) -> Tensor:
        """Weighted alignment, from the outputs of the heads' first linear layers."""
        assert self.alignment is not None
        if len(next(iter(first.values()))) == 1:  # its own only candidate: -log 1
            return torch.stack([0.0 * x.sum() for x in first.values()]).sum()
        head = {m: self.heads[m].tail(first[m]) for m in self.dims}
        losses = [
            self.alignment(head[later], head[earlier])
            for earlier, later in combinations(self.dims, 2)
        ]
        return self.align_weight * torch.stack(losses).mean()

    def distance_loss(self, pairs: Halves, *, fit: bool = False) -> Tensor:
        """Weighted distance, from :meth:`distance_inputs` or an equal of it.

        Args:
            pairs: Generic and unique half by modality.
            fit: Fit the estimator to them, too, in the order of ``club_order``.
        """
        if self.distancing is not None:
            losses = [self.distancing(*pairs[m]) for m in self.dims]
            return self.distance_weight * torch.stack(losses).mean()
        if fit and self.club_order == "fit-first":
            self.fit_estimator(pairs)
        losses = []
        for m, (x, y) in self._scaled(pairs).items():
            club = self._estimator_of(m)
            # That it is fitted from now on is as good as fitted.
            club.is_fitted = club.is_fitted or (fit and self.club_inner_steps > 0)
            bound = club.unclamped_bound(x, y)
            self.bounds[m] = bound.detach()
            losses.append(bound.clamp(min=0) if club.clamp else bound)
        if fit and self.club_order == "loss-first":
            self.fit_estimator(pairs)
        return self.distance_weight * torch.stack(losses).mean()

    def club_step(self, z: Mapping[str, Tensor]) -> Tensor | None:
        """Fit the estimator to the present vectors, as :meth:`fit_estimator` does."""
        if not self.club or not self.distance_weight:
            return None
        with torch.no_grad():
            pairs = self.distance_inputs(z)
        return self.fit_estimator(pairs)

    def fit_estimator(self, pairs: Halves) -> Tensor | None:
        """Take ``club_inner_steps`` steps of the estimator's optimiser.

        Args:
            pairs: As :meth:`distance_inputs` gives them; no gradient flows into them.

        Returns:
            The estimator's loss before the last step (the sum over what it is fitted
            to), or None if there is nothing to fit.
        """
        optimizer = self.estimator_optimizer
        if optimizer is None or not self.distance_weight:
            return None
        batches = self._estimator_batches(pairs)
        loss = None
        with torch.enable_grad():
            for _ in range(self.club_inner_steps):
                self.club.zero_grad()
                losses = [self._fitting_loss(*batch) for batch in batches]
                loss = torch.stack(losses).sum()
                loss.backward()
                optimizer.step()
        # No gradient stays behind that the model's optimiser could pick up.
        self.club.zero_grad()
        return None if loss is None else loss.detach()

    @torch.no_grad()
    def own_bounds(self, pairs: Halves) -> dict[str, Tensor]:
        """The bound over all pairs by modality, not cut off; no random numbers.

        Args:
            pairs: As :meth:`distance_inputs` gives them.
        """
        bounds = {}
        for m, (x, y) in self._scaled(pairs).items():
            mean, log_var = self._estimator_of(m).conditional(x)
            bounds[m] = club_bound(mean, log_var, y)
        return bounds

    @torch.no_grad()
    def refitted_bounds(self, pairs: Halves) -> dict[str, Tensor]:
        """:meth:`own_bounds` of estimators that are fitted to these pairs from scratch.

        Takes :data:`REFIT_STEPS` steps; neither the estimators here nor the state of
        the random numbers change.

        Args:
            pairs: As :meth:`distance_inputs` gives them.
        """
        x = next(iter(pairs.values()))[0]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # no other device's
            judge = SeparateLearningLoss(
                {m: g.size(1) + u.size(1) for m, (g, u) in pairs.items()},
                mim_proj="none",
                align=None,
                club_inner_steps=REFIT_STEPS,
                club_lr=REFIT_LR,
                club_shared=self.club_shared,
                club_hidden=next(iter(self.club.values())).hidden_channels,
                club_standardize=self.club_standardize,
            )
            judge.to(x.device, x.dtype).fit_estimator(pairs)
        return judge.own_bounds(pairs)

    def estimator_parameters(self) -> list[nn.Parameter]:
        """Parameters that :attr:`estimator_optimizer` owns."""
        return list(self.club.parameters())

    @property
    def estimator_optimizer(self) -> torch.optim.Adam | None:
        """Adam of the estimator, made on first use; None without an estimator."""
        parameters = self.estimator_parameters()
        if self.club_fit == "closed-form":
            parameters = [p for c in self.club.values() for p in c.hidden_parameters()]
        if self._optimizer is None and parameters:
            self._optimizer = torch.optim.Adam(parameters, self.club_lr, fused=True)
        return self._optimizer

    @property
    def has_distance(self) -> bool:
        """True if there is a distance term."""
        return self.distancing is not None or len(self.club) > 0

    def _estimator_of(self, modality: str) -> CLUBLoss:
        return self.club[_SHARED if self.club_shared else modality]

    def _scaled(self, pairs: Halves) -> Halves:
        """The halves as the estimator sees them."""
        if not self.club_standardize:
            return pairs
        return {m: (standardized(x), standardized(y)) for m, (x, y) in pairs.items()}

    def _fitting_loss(
        self, num_pairs: int, club: CLUBLoss, x: Tensor, y: Tensor
    ) -> Tensor:
        """What a step minimises: of every :math:`k` rows one, from a random one on.

        In closed form the output layers are fitted to them first.
        """
        k = -(-len(x) // (num_pairs * self.club_rows)) if self.club_rows else 1
        if k > 1:
            # Rows that are never drawn keep what they share: a model finds them.
            first = int(torch.randint(k, ()))  # of the CPU on every device
            x, y = (rows.T[:, first::k].contiguous().T for rows in (x, y))
        if self.club_fit == "closed-form":
            club.fit_heads(x, y)
        return num_pairs * club.estimator_loss(x, y)

    def _estimator_batches(
        self, pairs: Halves
    ) -> list[tuple[int, CLUBLoss, Tensor, Tensor]]:
        """Per estimator: how many pairs it is fitted to, and their rows together."""
        apart = {m: (x.detach(), y.detach()) for m, (x, y) in pairs.items()}
        pairs = self._scaled(apart)
        if self.club_pairs == "paper":
            fitted = [(self._estimator_of(m), *pairs[m]) for m in self.dims]
        else:
            club = self._estimator_of(_SHARED)
            fitted = [
                (club, pairs[later][half], pairs[earlier][half])
                for earlier, later in combinations(self.dims, 2)
                for half in (0, 1)
            ]
        batches = []
        for club in {id(club): club for club, _, _ in fitted}.values():
            own = [(x, y) for owner, x, y in fitted if owner is club]
            # Laid out by column, as the estimator reads them.
            x = torch.cat([x.T for x, _ in own], dim=1).T
            y = torch.cat([y.T for _, y in own], dim=1).T
            batches.append((len(own), club, x, y))
        return batches
