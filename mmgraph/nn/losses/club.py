"""CLUB: mutual information from above, by a learned conditional."""

from __future__ import annotations

import logging
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mmgraph.functional.losses.gaussian_heads import log_variance_head, mean_head
from mmgraph.functional.losses.mutual_information import (
    TwoLayers,
    club_bound,
    club_bound_sampled,
    gaussian_network_loss,
)
from mmgraph.nn.losses.rows import check_rows
from mmgraph.options import CheckedOptions, Dimension, FeatureDimension

logger = logging.getLogger(__name__)

Estimator = Literal["closed", "sample"]


class CLUBLoss(CheckedOptions, nn.Module):
    r"""Upper bound of the mutual information of ``x`` and ``y``, to be minimised.

    From Cheng et al., "CLUB: A Contrastive Log-ratio Upper Bound of Mutual
    Information", ICML 2020 (the form of Eqs. 14-15 of "It is Never Too Late to Mend:
    Separate Learning for Multimedia Recommendation", 2024). A Gaussian
    :math:`q_\theta(y | x)` with diagonal covariance is fitted on the side: minimise
    :meth:`estimator_loss` with an optimiser of its own (:meth:`fit_heads` does without
    one for the output layers), then use :meth:`bound`, which has gradients for ``x``
    and ``y`` only. Before the estimator is fitted the value bounds nothing, which a
    warning says. Of a single row the closed form is 0.

    :math:`\mu` and :math:`\log \sigma^2` are two-layer networks;
    :math:`\log \sigma^2` ends in tanh, so :math:`\sigma^2 \in [1/e, e]`. Of a ``y``
    whose columns vary much less than that no estimator of this form finds more than
    :math:`e` times the variance that it explains, which may be far below the mutual
    information: hand in columns of about variance 1
    (:class:`SeparateLearningLoss` standardises them).

    Args:
        x_channels: Dimension of ``x``.
        y_channels: Dimension of ``y``.
        hidden_channels: Hidden units of either network.
        estimator: ``"closed"``: the bound over all pairs, in closed form;
            ``"sample"``: against one random permutation.
        clamp: Cut the bound off at 0; no gradient where it is negative.

    Shapes:
        - **input:** ``x`` :math:`(N, d_x)`, ``y`` :math:`(N, d_y)`, same rows
        - **output:** scalar, in nats

    Raises:
        UserError: If ``estimator`` is unknown, or the batch empty.

    Example:
        >>> club = CLUBLoss(32, 32)
        >>> sum(p.numel() for p in club.parameters())
        1104
        >>> x = torch.randn(10, 32)
        >>> club.estimator_loss(x, x).backward()  # gradients for the estimator
        >>> club.bound(x, x).requires_grad  # none for the estimator
        False
    """

    def __init__(
        self,
        x_channels: FeatureDimension,
        y_channels: FeatureDimension,
        hidden_channels: Dimension = 8,
        *,
        estimator: Estimator = "closed",
        clamp: bool = True,
    ) -> None:
        super().__init__()
        self.hidden_channels = hidden_channels
        self.estimator = estimator
        self.clamp = clamp
        #: False until it is being fitted, or was loaded.
        self.is_fitted = False
        self.conditional = _GaussianConditional(x_channels, hidden_channels, y_channels)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The bound, see :meth:`bound`."""
        return self.bound(x, y)

    def bound(self, x: Tensor, y: Tensor) -> Tensor:
        """Bound of the mutual information; the estimator gets no gradient."""
        bound = self.unclamped_bound(x, y)
        return bound.clamp(min=0) if self.clamp else bound

    def unclamped_bound(self, x: Tensor, y: Tensor) -> Tensor:
        """:meth:`bound` before it is cut off at 0."""
        check_rows(x, "CLUBLoss")
        if not (self.is_fitted or torch.compiler.is_compiling()):
            self.is_fitted = True  # once is enough
            logger.warning(
                "CLUBLoss: the estimator was never fitted, so that its bound bounds "
                "nothing: minimise estimator_loss first (club_inner_steps above 0)"
            )
        # Copies: the estimator may take its steps before this is differentiated.
        named = self.conditional.named_parameters()
        frozen = {k: p.detach().clone() for k, p in named}
        mean, log_var = functional_call(self.conditional, frozen, (x,))
        if self.estimator == "closed":
            return club_bound(mean, log_var, y)
        permutation = torch.randperm(y.size(0), device=y.device)
        return club_bound_sampled(mean, log_var, y, permutation)

    def estimator_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Negative log-likelihood of ``y`` given ``x``; the inputs get no gradient."""
        check_rows(x, "CLUBLoss")
        self.is_fitted = True
        return gaussian_network_loss(x, y, *self.conditional.layers())

    def hidden_parameters(self) -> list[nn.Parameter]:
        """Parameters that :meth:`fit_heads` leaves alone."""
        heads = {id(p) for layers in self.conditional.layers() for p in layers[2:]}
        return [p for p in self.conditional.parameters() if id(p) not in heads]

    @torch.no_grad()
    def fit_heads(self, x: Tensor, y: Tensor) -> None:
        """Fit both output layers to the hidden units as they are.

        The mean's by weighted least squares, then the log-variance's by a step of
        scoring. Repeated, they end where the likelihood is largest.

        Args:
            x: Inputs ``[N, d_x]``.
            y: Outputs ``[N, d_y]``.
        """
        check_rows(x, "CLUBLoss")
        self.is_fitted = True
        mean, log_var = self.conditional.layers()
        of_mean, of_var = _hidden_units(mean, x), _hidden_units(log_var, x)
        w, v = _output_layer(mean), _output_layer(log_var)
        w = mean_head(of_mean, y, (of_var @ v.T).tanh(), w)
        v = log_variance_head(of_var, (y - of_mean @ w.T).square(), v)
        for (_, _, weight, bias), new in ((mean, w), (log_var, v)):
            weight.copy_(new[:, :-1])
            bias.copy_(new[:, -1])

    def _load_from_state_dict(self, *args: Any) -> None:
        self.is_fitted = True
        super()._load_from_state_dict(*args)

    def extra_repr(self) -> str:
        """Options shown in the module's repr."""
        return f"estimator={self.estimator!r}, clamp={self.clamp}"


class _GaussianConditional(nn.Module):
    """Mean and log-variance of ``q(y | x)``."""

    def __init__(self, x_channels: int, hidden: int, y_channels: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Linear(x_channels, hidden), nn.ReLU(), nn.Linear(hidden, y_channels)
        )
        self.log_var = nn.Sequential(
            nn.Linear(x_channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, y_channels),
            nn.Tanh(),
        )

    def layers(self) -> tuple[TwoLayers, TwoLayers]:
        """Weights and biases of the mean's network and of the log-variance's."""
        return _two_layers(self.mean), _two_layers(self.log_var)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Samples as columns: with a handful of hidden units and thousands of samples
        # these products are three times as fast as those of nn.Linear (CPU).
        mean = log_var = x.T
        for layer in self.mean:
            mean = _on_columns(layer, mean)
        for layer in self.log_var:
            log_var = _on_columns(layer, log_var)
        return mean.T, log_var.T


def _two_layers(network: nn.Sequential) -> TwoLayers:
    first, second = (m for m in network if isinstance(m, nn.Linear))
    return first.weight, first.bias, second.weight, second.bias


def _hidden_units(layers: TwoLayers, x: Tensor) -> Tensor:
    """Hidden units and a column of ones, ``[N, hidden + 1]``."""
    return F.pad(F.linear(x, *layers[:2]).relu(), (0, 1), value=1.0)


def _output_layer(layers: TwoLayers) -> Tensor:
    """Weights of the output layer, the bias as their last column."""
    return torch.cat([layers[2], layers[3].unsqueeze(1)], dim=1)


def _on_columns(layer: nn.Module, x: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return torch.addmm(layer.bias.unsqueeze(1), layer.weight, x)
    result: Tensor = layer(x)
    return result
