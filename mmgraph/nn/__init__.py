"""Layers and losses that any PyTorch Geometric project can import one by one."""

from __future__ import annotations

from mmgraph.nn.losses import (
    CLUBLoss,
    InfoNCELoss,
    NegativeDistanceLoss,
    ProjectionHead,
    SeparateLearningLoss,
    SoloSimLoss,
)
from mmgraph.nn.modality_dict import ModalityDict
from mmgraph.nn.projection import NullSpaceProjection

__all__ = [
    "CLUBLoss",
    "InfoNCELoss",
    "ModalityDict",
    "NegativeDistanceLoss",
    "NullSpaceProjection",
    "ProjectionHead",
    "SeparateLearningLoss",
    "SoloSimLoss",
]
