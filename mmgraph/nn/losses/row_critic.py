"""A critic that tells real rows of a wide matrix from generated ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mmgraph.functional.gram import gram
from mmgraph.options import (
    CheckedOptions,
    Dimension,
    DropRatio,
    NodeCount,
    NonNegativeFloat,
    PositiveFloat,
)


class RowCritic(CheckedOptions, nn.Module):
    r"""Wasserstein critic with gradient penalty (Gulrajani et al., "Improved Training
    of Wasserstein GANs", 2017) of rows as wide as a catalogue.

    .. math::
        D(\mathbf{x}) = 100\, \sigma\big( \mathbf{w}^\top \Gamma(\mathbf{W}_2\,
        \Gamma(\mathbf{x} \mathbf{W}_1 + \mathbf{b}_1) + \mathbf{b}_2) + b \big), \qquad
        \Gamma(\mathbf{h}) = \mathrm{Drop}(\mathrm{BN}(\mathrm{LeakyReLU}(\mathbf{h})))

    .. math::
        L_D = \mathbb{E}\, D(\mathbf{x}) - \mathbb{E}\, D(\boldsymbol{\rho})
        + \lambda\, \mathbb{E} \big( \|\nabla_{\hat{\mathbf{x}}} D(\hat{\mathbf{x}})\|
        - 1 \big)^2, \qquad
        L_G = -\mathbb{E}\, D(\mathbf{x})

    with :math:`\hat{\mathbf{x}}` at random between real :math:`\boldsymbol{\rho}` and
    generated :math:`\mathbf{x}`. Everything here takes *responses*
    :math:`\mathbf{x} \mathbf{W}_1`, not rows: the response of a mixture is the mixture
    of the responses, the gradient's length follows from :math:`\mathbf{W}_1^\top
    \mathbf{W}_1`, and where a row has structure its response costs less than the row
    (:func:`~mmgraph.functional.map_unseen_scores`).

    :meth:`step` trains the critic, with an optimiser of its own (:attr:`optimizer`);
    keep its parameters out of the model's. BN takes its moments from the batch at hand,
    always.

    Args:
        num_columns: Dimension of the rows.
        hidden_channels: Dimension of the first hidden layer; the second has half of it.
        slope: Of the leaky ReLU. At 1 there is none, and no biases in front of BN,
            which would remove them.
        dropout: Rates after the first and the second hidden layer.
        penalty_weight: :math:`\lambda`.
        lr: Learning rate of Adam, whose betas are 0.5 and 0.9.

    Shapes:
        - **input:** responses :math:`(N, h)`
        - **output:** :math:`(N)`

    Example:
        >>> critic = RowCritic(num_columns=10, hidden_channels=4)
        >>> real, fake = torch.rand(6, 10), torch.rand(6, 10)
        >>> _ = critic.step(real @ critic.table, fake @ critic.table)
        >>> critic.generator_loss(fake @ critic.table.detach()).shape
        torch.Size([])
    """

    def __init__(
        self,
        num_columns: NodeCount,
        hidden_channels: Dimension,
        *,
        slope: float = 0.01,
        dropout: tuple[DropRatio, DropRatio] = (0.31, 0.5),
        penalty_weight: NonNegativeFloat = 0.3,
        lr: PositiveFloat = 3e-4,
    ) -> None:
        super().__init__()
        self.slope, self.dropout = slope, dropout
        self.penalty_weight, self.lr = penalty_weight, lr
        self._optimizer: torch.optim.Adam | None = None
        half = max(1, hidden_channels // 2)
        self.table = nn.Parameter(torch.empty(num_columns, hidden_channels))
        self.bias = nn.Parameter(torch.empty(hidden_channels)) if slope != 1 else None
        self.norm = _BatchMoments(hidden_channels)
        self.second = nn.Linear(hidden_channels, half, bias=slope != 1)
        self.second_norm = _BatchMoments(half)
        self.last = nn.Linear(half, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-normal weights, zero biases."""
        for weight in (self.table.t(), self.second.weight, self.last.weight):
            nn.init.kaiming_normal_(weight)
        for bias in (self.bias, self.second.bias, self.last.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, response: Tensor) -> Tensor:
        """:math:`D`, from the responses."""
        first, second = self.dropout
        h = response if self.bias is None else response + self.bias
        h = F.dropout(self.norm(self._activate(h)), first, self.training)
        h = self.second_norm(self._activate(self.second(h)))
        logit: Tensor = self.last(F.dropout(h, second, self.training)).squeeze(1)
        return 100.0 * logit.sigmoid()

    def _activate(self, h: Tensor) -> Tensor:
        return h if self.slope == 1 else F.leaky_relu(h, self.slope)

    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """Mean judgement of the generated responses minus that of the real ones."""
        distance: Tensor = self(fake).mean() - self(real).mean()
        return distance

    def gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Mean squared difference of the gradient's length from 1."""
        ratio = torch.rand(real.size(0), 1, dtype=real.dtype, device=real.device)
        mixed = ratio * real + (1 - ratio) * fake
        (g,) = torch.autograd.grad(self(mixed).sum(), mixed, create_graph=True)
        # The gradient of a row is W_1 g; its length by what needs less memory.
        num_rows, dim = g.shape
        if dim * dim <= num_rows * self.table.size(0):
            square = ((g @ gram(self.table)) * g).sum(dim=1)
        else:
            square = (g @ self.table.t()).square().sum(dim=1)
        tiny = torch.finfo(square.dtype).tiny
        return (square.clamp_min(tiny).sqrt() - 1).square().mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """:math:`L_G`; the critic gets no gradient."""
        frozen = {name: p.detach() for name, p in self.named_parameters()}
        score: Tensor = functional_call(self, frozen, (fake,))
        return -score.mean()

    def step(self, real: Tensor, fake: Tensor) -> Tensor:
        """One step of the critic's optimiser; its loss before that."""
        self.optimizer.zero_grad()
        # The two parts of the loss one after the other, and the wide first layer last
        # and once, so that less is held at a time.
        here = real.detach().requires_grad_(), fake.detach().requires_grad_()
        distance = self.distance(*here)
        distance.backward()
        penalty = self.penalty_weight * self.gradient_penalty(*here)
        penalty.backward()
        torch.autograd.backward((real, fake), [x.grad for x in here])
        self.optimizer.step()
        # No gradient stays behind that the model's optimiser could pick up.
        self.optimizer.zero_grad()
        return (distance + penalty).detach()

    @property
    def optimizer(self) -> torch.optim.Adam:
        """Adam of the critic, made on first use."""
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam(
                self.parameters(), self.lr, betas=(0.5, 0.9), fused=True
            )
        return self._optimizer

    def __repr__(self) -> str:
        columns, dim = self.table.shape
        name = type(self).__name__
        return f"{name}({columns}, hidden_channels={dim}, slope={self.slope})"


class _BatchMoments(nn.Module):
    """Batch norm that also takes a single row, which becomes the bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=0, correction=0)
        return (x - mean) * (var + 1e-5).rsqrt() * self.weight + self.bias
