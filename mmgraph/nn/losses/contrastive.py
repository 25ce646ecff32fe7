"""Contrastive losses as modules."""

from __future__ import annotations

from torch import Tensor, nn

from mmgraph.functional.losses.contrastive import info_nce, solosim
from mmgraph.options import CheckedOptions, PositiveFloat, PositiveInt


class SoloSimLoss(CheckedOptions, nn.Module):
    r"""One-directional contrast with all rows as candidates.

    The SoloSim term of "It is Never Too Late to Mend: Separate Learning for Multimedia
    Recommendation", 2024 (Eq. 16); see :func:`mmgraph.functional.solosim`.

    Args:
        temperature: Above 0.
        block_size: Anchors per block.
        normalize: Scale rows to length 1 first.

    Shapes:
        - **input:** anchors and candidates, both :math:`(N, d)`
        - **output:** scalar

    Example:
        >>> import torch
        >>> x = torch.ones(4, 2)
        >>> SoloSimLoss(temperature=0.2)(x, x)
        tensor(1.3863)
    """

    def __init__(
        self,
        temperature: PositiveFloat,
        *,
        block_size: PositiveInt = 1024,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.block_size = block_size
        self.normalize = normalize

    def forward(self, anchor: Tensor, candidate: Tensor) -> Tensor:
        """Loss of each anchor's match among all candidates."""
        return solosim(
            anchor,
            candidate,
            self.temperature,
            self.block_size,
            normalize=self.normalize,
        )

    def extra_repr(self) -> str:
        """Options shown in the module's repr."""
        return f"temperature={self.temperature}"


class InfoNCELoss(CheckedOptions, nn.Module):
    r"""InfoNCE between two views, in both directions by default.

    From van den Oord et al., "Representation Learning with Contrastive Predictive
    Coding", 2018; see :func:`mmgraph.functional.info_nce`.

    Args:
        temperature: Above 0.
        symmetric: Average both directions.
        block_size: Rows per block.
        normalize: Scale rows to length 1 first.

    Shapes:
        - **input:** two views, both :math:`(N, d)`
        - **output:** scalar

    Example:
        >>> import torch
        >>> x = torch.ones(4, 2)
        >>> InfoNCELoss(temperature=0.2)(x, x)
        tensor(1.3863)
    """

    def __init__(
        self,
        temperature: PositiveFloat,
        *,
        symmetric: bool = True,
        block_size: PositiveInt = 1024,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.symmetric = symmetric
        self.block_size = block_size
        self.normalize = normalize

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Loss of each row's match among all rows of the other view."""
        return info_nce(
            x,
            y,
            self.temperature,
            self.symmetric,
            self.block_size,
            normalize=self.normalize,
        )

    def extra_repr(self) -> str:
        """Options shown in the module's repr."""
        return f"temperature={self.temperature}, symmetric={self.symmetric}"
